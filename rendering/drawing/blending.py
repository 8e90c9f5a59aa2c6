"""After Effects' blending modes as Skia draws them."""

from __future__ import annotations

from functools import lru_cache

import skia

_Mode = skia.BlendMode

# Modes that Skia has itself. On opaque backdrops they agree with After Effects in 8 bits per channel.
DIRECT = {
    "NORMAL": _Mode.kSrcOver,
    "DARKEN": _Mode.kDarken,
    "MULTIPLY": _Mode.kMultiply,
    "COLOR_BURN": _Mode.kColorBurn,
    "ADD": _Mode.kPlus,
    "LIGHTEN": _Mode.kLighten,
    "SCREEN": _Mode.kScreen,
    "LINEAR_DODGE": _Mode.kPlus,
    "COLOR_DODGE": _Mode.kColorDodge,
    "OVERLAY": _Mode.kOverlay,
    "SOFT_LIGHT": _Mode.kSoftLight,
    "HARD_LIGHT": _Mode.kHardLight,
    "DIFFERENCE": _Mode.kDifference,
    "EXCLUSION": _Mode.kExclusion,
    "HUE": _Mode.kHue,
    "SATURATION": _Mode.kSaturation,
    "COLOR": _Mode.kColor,
    "LUMINOSITY": _Mode.kLuminosity,
    "STENCIL_ALPHA": _Mode.kDstIn,
    "SILHOUETE_ALPHA": _Mode.kDstOut,
    "STENCIL_LUMA": _Mode.kDstIn,
    "SILHOUETTE_LUMA": _Mode.kDstOut,
    "ALPHA_ADD": _Mode.kPlus,
}
# Modes whose look comes close to another one.
APPROXIMATED = {
    "CLASSIC_COLOR_BURN": "COLOR_BURN",
    "CLASSIC_COLOR_DODGE": "COLOR_DODGE",
    "CLASSIC_DIFFERENCE": "DIFFERENCE",
    "DISSOLVE": "NORMAL",
    "DANCING_DISSOLVE": "NORMAL",
    "LUMINESCENT_PREMUL": "NORMAL",
}
LUMA_MODES = frozenset({"STENCIL_LUMA", "SILHOUETTE_LUMA"})
# Modes without a Skia counterpart: f(source, backdrop) on straight colours, 0..1.
_FORMULAS = {
    "LINEAR_BURN": "s + d - 1.0",
    "LINEAR_LIGHT": "d + 2.0 * s - 1.0",
    "VIVID_LIGHT": "half3(vivid(s.r, d.r), vivid(s.g, d.g), vivid(s.b, d.b))",
    "PIN_LIGHT": "mix(min(d, 2.0 * s), max(d, 2.0 * s - 1.0), step(half3(0.5), s))",
    "HARD_MIX": "step(half3(1.0), s + d)",
    "LIGHTER_COLOR": "luma(s) > luma(d) ? s : d",
    "DARKER_COLOR": "luma(s) < luma(d) ? s : d",
    "SUBTRACT": "d - s",
    "DIVIDE": "d / max(s, half3(0.00392))",
}
_PROGRAM = """
uniform shader source;
uniform shader backdrop;
half luma(half3 c) {{ return dot(c, half3(0.299, 0.587, 0.114)); }}
half vivid(half s, half d) {{
    return s < 0.5 ? 1.0 - min(1.0, (1.0 - d) / max(2.0 * s, 0.00392)) : min(1.0, d / max(2.0 - 2.0 * s, 0.00392));
}}
half4 main(float2 at) {{
    half4 sa = source.eval(at);
    half4 da = backdrop.eval(at);
    half3 s = sa.a > 0.0 ? sa.rgb / sa.a : half3(0.0);
    half3 d = da.a > 0.0 ? da.rgb / da.a : half3(0.0);
    half3 mixed = clamp({formula}, 0.0, 1.0);
    half3 color = sa.rgb * (1.0 - da.a) + da.rgb * (1.0 - sa.a) + mixed * sa.a * da.a;
    return half4(color, sa.a + da.a - sa.a * da.a);
}}
"""


def has_formula(mode: str) -> bool:
    return mode in _FORMULAS


def direct(mode: str) -> skia.BlendMode:
    """The Skia mode of that name, or of the one that comes closest to it."""
    return DIRECT.get(APPROXIMATED.get(mode, mode), _Mode.kSrcOver)


def luma_to_alpha() -> skia.ColorFilter:
    """Turns brightness into coverage: luma mattes, luma stencils."""
    return skia.LumaColorFilter.Make()


def blend_by_formula(surface: skia.Surface, source: skia.Image, mode: str) -> None:
    """Blends the image, of the surface's size in device px, over all that the surface shows."""
    builder = skia.RuntimeShaderBuilder(_effect(mode))
    builder.setChild("source", _device_shader(source))
    builder.setChild("backdrop", _device_shader(surface.makeImageSnapshot()))
    canvas = surface.getCanvas()
    canvas.save()
    canvas.resetMatrix()
    canvas.drawPaint(skia.Paint(Shader=builder.makeShader(), BlendMode=_Mode.kSrc))
    canvas.restore()


def _device_shader(image: skia.Image) -> skia.Shader:
    return image.makeShader(skia.TileMode.kDecal, skia.TileMode.kDecal, skia.SamplingOptions())


@lru_cache(maxsize=len(_FORMULAS))
def _effect(mode: str) -> skia.RuntimeEffect:
    return skia.RuntimeEffect.MakeForShader(_PROGRAM.format(formula=_FORMULAS[mode]))
