"""Training encoders on a generator's own samples, and scoring them.

`plan` says what determines a training, `samples` draws what it learns from, `training` takes the
steps, `linear_part` fits the last part in closed form, and `scores` says how good an encoder is.
"""
