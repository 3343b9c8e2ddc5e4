"""Small random generators in each program's own names, and each program's forward formula.

The formulas are the published ones, slow and in float64: weights modulated and demodulated for each
sample, enlarging by inserting zeros and an explicit convolution. Nothing of the package is used.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from foreign_layers import (
    FIR,
    Foreign,
    Plan,
    bounded,
    draws,
    lrelu,
    normalised,
    per_sample,
    plain,
    run,
    transposed,
    upfirdn,
)
from torch import Tensor


def rosinality(plan: Plan, seed: int = 0, *, mean_rows: int = 0) -> Foreign:
    """rosinality/stylegan2-pytorch: gains at run time; kernels with the gain of 4 in the file."""
    draw = draws(seed)
    for index, (inputs, outputs) in enumerate(zip(plan.widths, plan.widths[1:], strict=False)):
        draw(f"style.{index + 1}.weight", outputs, inputs, scale=100)
        draw(f"style.{index + 1}.bias", outputs, scale=20)
    draw("input.input", 1, plan.channels[0], 4, 4)
    for index, (inputs, outputs, size) in enumerate(plan.layers):
        name = f"convs.{index - 1}" if index else "conv1"
        draw(f"{name}.conv.weight", 1, outputs, inputs, 3, 3)
        draw(f"{name}.conv.modulation.weight", inputs, plan.style_width)
        draw(f"{name}.conv.modulation.bias", inputs, scale=0.2, offset=1)
        draw(f"{name}.noise.weight", 1, scale=0.3)
        draw(f"{name}.activate.bias", outputs, scale=0.3)
        draw(f"noises.noise_{index}", 1, 1, size, size)
        if index % 2:
            draw.made[f"{name}.conv.blur.kernel"] = 4 * FIR
    for block, inputs in enumerate(plan.channels):
        name = f"to_rgbs.{block - 1}" if block else "to_rgb1"
        draw(f"{name}.conv.weight", 1, 3, inputs, 1, 1)
        draw(f"{name}.conv.modulation.weight", inputs, plan.style_width)
        draw(f"{name}.conv.modulation.bias", inputs, scale=0.2, offset=1)
        draw(f"{name}.bias", 1, 3, 1, 1, scale=0.2)
        if block:
            draw.made[f"{name}.upsample.kernel"] = 4 * FIR
    draw("latent_avg", plan.style_width)
    if mean_rows:
        draw.made["latent_avg"] = draw.made["latent_avg"].expand(mean_rows, -1).clone()
    t = draw.made

    def mapping(z: Tensor, label: Tensor | None) -> Tensor:
        assert label is None
        x = normalised(z)
        for index in range(plan.depth):
            weight = t[f"style.{index + 1}.weight"]
            scale = (1 / math.sqrt(weight.shape[1])) * 0.01
            x = lrelu(x @ (weight * scale).T + t[f"style.{index + 1}.bias"] * 0.01)
        return x

    def modulated(name: str, x: Tensor, w: Tensor, convolve: Any, demodulate: bool) -> Tensor:
        weight = t[f"{name}.conv.weight"][0]
        style = t[f"{name}.conv.modulation.weight"] / math.sqrt(plan.style_width)
        scale = w @ style.T + t[f"{name}.conv.modulation.bias"]
        weight = weight / math.sqrt(weight[0].numel())
        return per_sample(x, weight, scale, convolve, demodulate=demodulate)

    def synthesis(styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        def layer(index: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"convs.{index - 1}" if index else "conv1"
            if index % 2:
                x = modulated(name, x, w, transposed, True)
                x = upfirdn(x, t[f"{name}.conv.blur.kernel"], up=1, before=1, after=1)
            else:
                x = modulated(name, x, w, plain, True)
            own = t[f"noises.noise_{index}"] if noise is None else noise[index]
            x = x + t[f"{name}.noise.weight"] * own
            return lrelu(x + t[f"{name}.activate.bias"][None, :, None, None])

        def to_rgb(block: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"to_rgbs.{block - 1}" if block else "to_rgb1"
            return modulated(name, x, w, plain, False) + t[f"{name}.bias"]

        return run(
            plan,
            styles,
            t["input.input"],
            layer,
            to_rgb,
            lambda image: upfirdn(image, 4 * FIR, up=2, before=2, after=1),
        )

    return Foreign("rosinality", t, {}, mapping, synthesis)


def nvidia(plan: Plan, seed: int = 0) -> Foreign:
    """stylegan2-ada-pytorch: weights demodulated as stored; styles of colours scaled instead."""
    draw, about = draws(seed), dict[str, Any]()

    def dense(name: str, outputs: int, inputs: int, rate: float, **bias: float) -> None:
        draw(f"{name}.weight", outputs, inputs, scale=1 / rate)
        draw(f"{name}.bias", outputs, **bias)
        about[name] = {"weight_gain": rate / math.sqrt(inputs), "bias_gain": rate}

    if plan.labels:
        dense("mapping.embed", plan.label_width, plan.labels, 1, scale=0.3)
    for index, (inputs, outputs) in enumerate(zip(plan.widths, plan.widths[1:], strict=False)):
        dense(f"mapping.fc{index}", outputs, inputs, 0.01, scale=20)
    draw("mapping.w_avg", plan.style_width)
    draw("synthesis.b4.const", plan.channels[0], 4, 4)
    names = []
    for index, (inputs, outputs, size) in enumerate(plan.layers):
        name = f"synthesis.b{size}.conv{0 if index % 2 else 1}"
        names.append(name)
        dense(f"{name}.affine", inputs, plan.style_width, 1, scale=0.2, offset=1)
        draw(f"{name}.weight", outputs, inputs, 3, 3)
        draw(f"{name}.noise_const", size, size)
        draw(f"{name}.noise_strength", scale=0.3)
        draw(f"{name}.bias", outputs, scale=0.3)
        draw.made[f"{name}.resample_filter"] = FIR
        draw.made[f"synthesis.b{size}.resample_filter"] = FIR
        about[name] = {"conv_clamp": plan.clamp, "activation": "lrelu", "use_noise": True}
    for block, inputs in enumerate(plan.channels):
        name = f"synthesis.b{4 << block}.torgb"
        dense(f"{name}.affine", inputs, plan.style_width, 1, scale=0.2, offset=1)
        draw(f"{name}.weight", plan.colours, inputs, 1, 1)
        draw(f"{name}.bias", plan.colours, scale=0.2)
        about[name] = {"conv_clamp": plan.clamp, "weight_gain": 1 / math.sqrt(inputs)}
    t = draw.made

    def fully(name: str, x: Tensor, rate: float) -> Tensor:
        weight = t[f"{name}.weight"]
        return x @ (weight * (rate / math.sqrt(weight.shape[1]))).T + rate * t[f"{name}.bias"]

    def mapping(z: Tensor, label: Tensor | None) -> Tensor:
        x = normalised(z)
        if label is not None:
            x = torch.cat([x, normalised(fully("mapping.embed", label, 1))], 1)
        for index in range(plan.depth):
            x = lrelu(fully(f"mapping.fc{index}", x, 0.01))
        return x

    def doubled(x: Tensor, weight: Tensor) -> Tensor:
        """Upsample by the filter, then a proper convolution: the generic order of the two."""
        return F.conv2d(upfirdn(x, 4 * FIR, up=2, before=3, after=2), weight.flip(2, 3))

    def synthesis(styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        def layer(index: int, x: Tensor, w: Tensor) -> Tensor:
            name = names[index]
            style = fully(f"{name}.affine", w, 1)
            convolve = doubled if index % 2 else plain
            x = per_sample(x, t[f"{name}.weight"], style, convolve, demodulate=True)
            own = t[f"{name}.noise_const"] if noise is None else noise[index]
            x = x + own * t[f"{name}.noise_strength"]
            return bounded(lrelu(x + t[f"{name}.bias"][None, :, None, None]), plan.clamp)

        def to_rgb(block: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"synthesis.b{4 << block}.torgb"
            style = fully(f"{name}.affine", w, 1) / math.sqrt(x.shape[1])
            x = per_sample(x, t[f"{name}.weight"], style, plain, demodulate=False)
            return bounded(x + t[f"{name}.bias"][None, :, None, None], plan.clamp)

        return run(
            plan,
            styles,
            t["synthesis.b4.const"],
            layer,
            to_rgb,
            lambda image: upfirdn(image, 4 * FIR, up=2, before=2, after=1),
        )

    return Foreign("nvidia", t, about, mapping, synthesis)


def tensorflow(plan: Plan, seed: int = 0) -> Foreign:
    """NVlabs/stylegan2 and stylegan2-ada: kernels (h, w, in, out), correlation after upsampling."""
    draw = draws(seed)

    def modulation(name: str, inputs: int) -> None:
        draw(f"{name}/mod_weight", plan.style_width, inputs)
        draw(f"{name}/mod_bias", inputs, scale=0.2)

    if plan.labels:
        draw("mapping/LabelEmbed/weight", plan.labels, plan.label_width)
        draw("mapping/LabelEmbed/bias", plan.label_width, scale=0.3)
    for index, (inputs, outputs) in enumerate(zip(plan.widths, plan.widths[1:], strict=False)):
        draw(f"mapping/Dense{index}/weight", inputs, outputs, scale=100)
        draw(f"mapping/Dense{index}/bias", outputs, scale=20)
    draw("dlatent_avg", plan.style_width)
    draw("lod")
    draw("synthesis/4x4/Const/const", 1, plan.channels[0], 4, 4)
    names = []
    for index, (inputs, outputs, size) in enumerate(plan.layers):
        name = "Conv0_up" if index % 2 else "Conv1" if index else "Conv"
        names.append(f"synthesis/{size}x{size}/{name}")
        draw(f"{names[-1]}/weight", 3, 3, inputs, outputs)
        modulation(names[-1], inputs)
        draw(f"{names[-1]}/bias", outputs, scale=0.3)
        draw(f"{names[-1]}/noise_strength", scale=0.3)
        draw(f"synthesis/noise{index}", 1, 1, size, size)
    for block, inputs in enumerate(plan.channels):
        name = f"synthesis/{4 << block}x{4 << block}/ToRGB"
        draw(f"{name}/weight", 1, 1, inputs, plan.colours)
        modulation(name, inputs)
        draw(f"{name}/bias", plan.colours, scale=0.2)
    t = draw.made

    def mapping(z: Tensor, label: Tensor | None) -> Tensor:
        x = normalised(z)
        if label is not None:
            embedded = label @ t["mapping/LabelEmbed/weight"] / math.sqrt(plan.labels)
            x = torch.cat([x, normalised(embedded + t["mapping/LabelEmbed/bias"])], 1)
        for index in range(plan.depth):
            weight = t[f"mapping/Dense{index}/weight"]
            gain = 0.01 / math.sqrt(len(weight))
            x = lrelu(x @ (gain * weight) + 0.01 * t[f"mapping/Dense{index}/bias"])
        return x

    def modulated(name: str, x: Tensor, w: Tensor, convolve: Any, demodulate: bool) -> Tensor:
        weight = t[f"{name}/weight"].permute(3, 2, 0, 1)
        weight = weight / math.sqrt(weight[0].numel())
        style = w @ t[f"{name}/mod_weight"] / math.sqrt(plan.style_width)
        style = style + t[f"{name}/mod_bias"] + 1
        return per_sample(x, weight, style, convolve, demodulate=demodulate)

    def doubled(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(upfirdn(x, 4 * FIR, up=2, before=3, after=2), weight)

    def synthesis(styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        def layer(index: int, x: Tensor, w: Tensor) -> Tensor:
            name = names[index]
            x = modulated(name, x, w, doubled if index % 2 else plain, True)
            own = t[f"synthesis/noise{index}"] if noise is None else noise[index]
            x = x + own * t[f"{name}/noise_strength"]
            return bounded(lrelu(x + t[f"{name}/bias"][None, :, None, None]), plan.clamp)

        def to_rgb(block: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"synthesis/{4 << block}x{4 << block}/ToRGB"
            x = modulated(name, x, w, plain, False) + t[f"{name}/bias"][None, :, None, None]
            return bounded(x, plan.clamp)

        return run(
            plan,
            styles,
            t["synthesis/4x4/Const/const"],
            layer,
            to_rgb,
            lambda image: upfirdn(image, 4 * FIR, up=2, before=2, after=1),
        )

    static = {} if plan.clamp is None else {"conv_clamp": plan.clamp}
    return Foreign("nvidia-tf", t, {"": static}, mapping, synthesis)


def genforce(plan: Plan, seed: int = 0) -> Foreign:
    """genforce: transposed convolution by the flipped kernel, then its own filter of gain 4."""
    draw = draws(seed)

    def style(name: str, inputs: int) -> None:
        draw(f"{name}.style.weight", inputs, plan.style_width)
        draw(f"{name}.style.bias", inputs, scale=0.2)

    for index, (inputs, outputs) in enumerate(zip(plan.widths, plan.widths[1:], strict=False)):
        draw(f"mapping.dense{index}.weight", outputs, inputs, scale=100)
        draw(f"mapping.dense{index}.bias", outputs, scale=20)
    draw("truncation.w_avg", plan.style_width)
    draw("synthesis.early_layer.const", 1, plan.channels[0], 4, 4)
    for index, (inputs, outputs, size) in enumerate(plan.layers):
        name = f"synthesis.layer{index}"
        draw(f"{name}.weight", outputs, inputs, 3, 3)
        style(name, inputs)
        draw(f"{name}.bias", outputs, scale=0.3)
        draw(f"{name}.noise_strength", scale=0.3)
        draw(f"{name}.noise", 1, 1, size, size)
        if index % 2:
            draw.made[f"{name}.filter.kernel"] = 4 * FIR[None, None]
    for block, inputs in enumerate(plan.channels):
        name = f"synthesis.output{block}"
        draw(f"{name}.weight", 3, inputs, 1, 1)
        draw(f"{name}.bias", 3, scale=0.2)
        style(name, inputs)
    draw.made["synthesis.upsample.kernel"] = 4 * FIR[None, None]
    t = draw.made

    def mapping(z: Tensor, label: Tensor | None) -> Tensor:
        assert label is None
        x = normalised(z)
        for index in range(plan.depth):
            weight = t[f"mapping.dense{index}.weight"]
            gain = 1 / math.sqrt(weight.shape[1]) * 0.01
            x = lrelu(x @ (weight * gain).T + t[f"mapping.dense{index}.bias"] * 0.01)
        return x

    def modulated(name: str, x: Tensor, w: Tensor, convolve: Any, demodulate: bool) -> Tensor:
        weight = t[f"{name}.weight"]
        scale = w @ t[f"{name}.style.weight"].T / math.sqrt(plan.style_width)
        scale = scale + t[f"{name}.style.bias"] + 1.0
        weight = weight / math.sqrt(weight[0].numel())
        return per_sample(x, weight, scale, convolve, demodulate=demodulate)

    def synthesis(styles: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
        def layer(index: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"synthesis.layer{index}"
            if index % 2:
                x = modulated(name, x, w, lambda y, weight: transposed(y, weight.flip(2, 3)), True)
                x = upfirdn(x, t[f"{name}.filter.kernel"], up=1, before=1, after=1)
            else:
                x = modulated(name, x, w, plain, True)
            own = t[f"{name}.noise"] if noise is None else noise[index]
            x = x + own * t[f"{name}.noise_strength"]
            return lrelu(x + t[f"{name}.bias"][None, :, None, None])

        def to_rgb(block: int, x: Tensor, w: Tensor) -> Tensor:
            name = f"synthesis.output{block}"
            return modulated(name, x, w, plain, False) + t[f"{name}.bias"][None, :, None, None]

        return run(
            plan,
            styles,
            t["synthesis.early_layer.const"],
            layer,
            to_rgb,
            lambda image: upfirdn(image, t["synthesis.upsample.kernel"], up=2, before=2, after=1),
        )

    return Foreign("genforce", t, {}, mapping, synthesis)


BUILDERS = {
    "rosinality": rosinality,
    "nvidia": nvidia,
    "nvidia-tf": tensorflow,
    "genforce": genforce,
}
