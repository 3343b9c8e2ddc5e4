"""Fast convolutions by weights that do not change, and by weights that each image moves.

A solve draws from a generator thousands of times in a row. Mostly the generator's weights stay as
they are, and gradients are taken with respect to its inputs alone. Most of a step is spent in 3x3
convolutions. On a CPU, fixed weights allow two shortcuts:

- `packed`: PyTorch rearranges a weight in memory at every convolution. A fixed weight is rearranged
  once. So is the weight of the adjoint, which the gradient needs.
- `winograd`: between many channels, Winograd's algorithm needs a quarter of the products. Its
  transformed weight is computed once.

Both give PyTorch's result up to rounding. A layer owns a `FrozenWeight` (in `frozen`) and asks it
for the `Way` of the features at hand. **This is the only place where invprob chooses how to
convolve by a fixed weight**: `FrozenWeight` takes the first way that can serve the shape, precision
and device of the features and is fast there. Winograd comes first, then packed, then PyTorch's own
convolution.

Where each image has a weight of its own that moves at every step, `MovingWeight` (in `moving`)
chooses likewise among the ways of `moving_ways`, which also give the gradient to the weight. Large
features of many channels go by Winograd. Where small features are doubled, gradients are two matrix
products of patches. The rest goes by PyTorch's own convolution.

The layers of StyleGAN2 and of the perceptual networks are written in their textbook form. Those of
StyleGAN2 pass a `Modulated` convolution (in `modulated`), which either of the two has chosen, to
one fused operation (`invprob.priors.stylegan.fused_layer`); perceptual networks use `FrozenConv2d`
in place of PyTorch's layer. A layer that is being trained takes PyTorch's convolution.

Other modules: `convolutions` has each way for fixed weights beside its adjoint, `derived` keeps
what is computed from a fixed tensor until that tensor changes, `filters` has StyleGAN2's low-pass
filter and up-sampling, and `allocation` makes the process keep the memory that each step frees and
the next asks for again.
"""
