"""How long each step takes and how much memory, here and in the official code, with made-up weights and pictures.

`cases` says what is measured, `ours` and `official` do it, each in a process of its own (`workers`) and by turns (`running`);
`report` says what came out. Nothing is fetched: speed does not depend on what the weights are.
"""
