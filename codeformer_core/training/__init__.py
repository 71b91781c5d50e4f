"""Training of CodeFormer: codebook (stage I), code prediction by the transformer (II), controllable feature fusion (III).

`run.train(config)` is the whole of it; `codeformer train CONFIG` calls it. Nothing here is imported where faces are restored.
"""
