"""How a CodeFormer is trained: a codebook (stage I), the transformer that predicts codes (II), the fusion of features (III).

`run.train(config)` is the whole of it; `codeformer train CONFIG` calls it. Nothing here is imported where faces are restored.
"""
