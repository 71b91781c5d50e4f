"""Time and memory of each step, in this project and in the official code, with synthetic (seeded) weights and images.

`cases` lists the measurements; `ours` and `official` prepare them, each in its own process (`workers`), and `alternate` runs
them in turns; `report` prints the results. Nothing is downloaded: speed does not depend on the values of the weights.
"""
