"""segment-anything networks from checkpoints: the only file that imports the package.

The architecture is read off the tensors' shapes, so that vit_b, vit_l, vit_h and any other checkpoint built of
segment-anything's own modules load without being told which one they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from retail_ray.core.errors import WeightsError
from retail_ray.vision.checkpoints import load_state_dict

DECODER_HEADS = 8  # Not visible in any shape; every published SAM has 8.
PIXEL_MEAN_RGB = (123.675, 116.28, 103.53)
PIXEL_STD_RGB = (58.395, 57.12, 57.375)


@dataclass(frozen=True, slots=True)
class SamShape:
    """The numbers that a SAM is built from; sizes in pixels or channels."""

    image_px: int
    patch_px: int
    embed_dim: int
    depth: int
    heads: int
    mlp_ratio: float
    window: int
    global_blocks: tuple[int, ...]
    prompt_dim: int
    mask_in_channels: int
    decoder_depth: int
    decoder_mlp_dim: int
    decoder_downsample: int
    mask_outputs: int
    iou_depth: int
    iou_hidden: int


def load_sam(path: Path) -> Any:
    """A `Sam` in eval mode with all tensors of the checkpoint. Raises WeightsError for any other network."""
    state = load_state_dict(path)
    try:
        shape = infer_shape(state)
        sam = build_sam(shape)
        sam.load_state_dict(state, strict=True)
    except (KeyError, RuntimeError, ValueError, AssertionError, ZeroDivisionError, IndexError) as error:
        reason = str(error).strip().splitlines()
        raise WeightsError(
            f"{path}: expected a segment-anything checkpoint (vit_b, vit_l, vit_h or alike), found tensors like "
            f"{list(state)[:3]} ({type(error).__name__}: {reason[0][:200] if reason else ''})"
        ) from error
    return sam.eval()


def infer_shape(state: dict[str, Any]) -> SamShape:
    """Read the architecture off a state dict. Raises KeyError or ValueError where it is not a SAM's."""
    size = {name: tuple(tensor.shape) for name, tensor in state.items()}
    _, grid, _, embed_dim = size["image_encoder.pos_embed"]
    patch_px = size["image_encoder.patch_embed.proj.weight"][2]
    depth = _count(size, "image_encoder.blocks.", ".norm1.weight")
    reach = [(size[f"image_encoder.blocks.{i}.attn.rel_pos_h"][0] + 1) // 2 for i in range(depth)]
    windows = sorted(set(reach) - {grid})
    if len(windows) > 1:
        raise ValueError(f"blocks with different windows {windows}")
    prompt_dim = size["prompt_encoder.no_mask_embed.weight"][1]
    decoder = "mask_decoder.transformer.layers."
    return SamShape(
        image_px=grid * patch_px,
        patch_px=patch_px,
        embed_dim=embed_dim,
        depth=depth,
        heads=embed_dim // size["image_encoder.blocks.0.attn.rel_pos_h"][1],
        mlp_ratio=size["image_encoder.blocks.0.mlp.lin1.weight"][0] / embed_dim,
        window=windows[0] if windows else 0,
        global_blocks=tuple(i for i in range(depth) if reach[i] == grid),
        prompt_dim=prompt_dim,
        mask_in_channels=size["prompt_encoder.mask_downscaling.3.weight"][0],
        decoder_depth=_count(size, decoder, ".norm1.weight"),
        decoder_mlp_dim=size[f"{decoder}0.mlp.lin1.weight"][0],
        decoder_downsample=prompt_dim // size[f"{decoder}0.cross_attn_token_to_image.q_proj.weight"][0],
        mask_outputs=size["mask_decoder.mask_tokens.weight"][0] - 1,
        iou_depth=_count(size, "mask_decoder.iou_prediction_head.layers.", ".weight"),
        iou_hidden=size["mask_decoder.iou_prediction_head.layers.0.weight"][0],
    )


def build_sam(shape: SamShape) -> Any:
    """A `Sam` of this shape from the package's own modules, with fresh weights."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    grid = shape.image_px // shape.patch_px
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=shape.image_px,
            patch_size=shape.patch_px,
            embed_dim=shape.embed_dim,
            depth=shape.depth,
            num_heads=shape.heads,
            mlp_ratio=shape.mlp_ratio,
            out_chans=shape.prompt_dim,
            qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=shape.window,
            global_attn_indexes=shape.global_blocks,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=shape.prompt_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(shape.image_px, shape.image_px),
            mask_in_chans=shape.mask_in_channels,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=shape.prompt_dim,
            transformer=TwoWayTransformer(
                depth=shape.decoder_depth,
                embedding_dim=shape.prompt_dim,
                num_heads=DECODER_HEADS,
                mlp_dim=shape.decoder_mlp_dim,
                attention_downsample_rate=shape.decoder_downsample,
            ),
            num_multimask_outputs=shape.mask_outputs,
            iou_head_depth=shape.iou_depth,
            iou_head_hidden_dim=shape.iou_hidden,
        ),
        pixel_mean=list(PIXEL_MEAN_RGB),
        pixel_std=list(PIXEL_STD_RGB),
    )


def _count(size: dict[str, tuple[int, ...]], prefix: str, suffix: str) -> int:
    numbers = {n.removeprefix(prefix).split(".")[0] for n in size if n.startswith(prefix) and n.endswith(suffix)}
    if not numbers:
        raise KeyError(f"{prefix}*{suffix}")
    return len(numbers)
