"""The segmenter with segment-anything's real modules and a small encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor, sam_model_registry

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.crops import pixel_box
from retail_ray.vision.masks import decode
from retail_ray.vision.sam_model import SamShape, build_sam, infer_shape
from retail_ray.vision.segmenter import SamSegmenter, SegmenterSettings, load_segmenter

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools

SMALL = SamShape(
    image_px=256,
    patch_px=16,
    embed_dim=96,
    depth=4,
    heads=4,
    mlp_ratio=4.0,
    window=7,
    global_blocks=(1, 3),
    prompt_dim=64,
    mask_in_channels=16,
    decoder_depth=2,
    decoder_mlp_dim=128,
    decoder_downsample=2,
    mask_outputs=3,
    iou_depth=3,
    iou_hidden=64,
)
TINY = replace(SMALL, image_px=128, patch_px=8, embed_dim=48, depth=2, heads=2, global_blocks=(1,), prompt_dim=32)
TINY_HW = (72, 128)


def small_sam(seed: int, shape: SamShape = SMALL) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sam = build_sam(shape)
        for name, parameter in sam.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:  # the package starts them at 0, where they do nothing
                torch.nn.init.normal_(parameter, std=0.1)
    return sam.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sam") / "small.pth"
    torch.save(small_sam(0).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path) -> SamSegmenter:
    return load_segmenter(SegmenterSettings(checkpoint, threads=1))


def blobs(seed: int, frame_hw: tuple[int, int] = (144, 256)) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Noise with three bright ellipses side by side: image and their (3, H, W) masks."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, (*frame_hw, 3), dtype=np.uint8)
    rows, columns = np.mgrid[: frame_hw[0], : frame_hw[1]]
    masks = []
    for i in range(3):
        x = (i + 0.5 + rng.uniform(-0.1, 0.1)) * frame_hw[1] / 3
        y = (0.5 + rng.uniform(-0.1, 0.1)) * frame_hw[0]
        half_width, half_height = rng.uniform(0.06, 0.1) * frame_hw[1], rng.uniform(0.15, 0.35) * frame_hw[0]
        mask = ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 <= 1
        image[mask] = rng.integers(170, 255, (int(mask.sum()), 3), dtype=np.uint8)
        masks.append(mask)
    return image, np.stack(masks)


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    boxes = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return np.array(boxes, np.float32)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_published_architectures_are_read_off_their_tensors(name: str) -> None:
    with torch.device("meta"):
        published = sam_model_registry[name]()
        rebuilt = build_sam(infer_shape(published.state_dict()))
    assert str(rebuilt) == str(published)
    blocks = zip(rebuilt.image_encoder.blocks, published.image_encoder.blocks, strict=True)
    assert all((a.window_size, a.attn.num_heads) == (b.window_size, b.attn.num_heads) for a, b in blocks)
    assert rebuilt.image_encoder.img_size == published.image_encoder.img_size == 1024
    decoders = (rebuilt.mask_decoder.transformer, published.mask_decoder.transformer)
    assert len({d.num_heads for d in decoders}) == 1
    assert {k: v.shape for k, v in rebuilt.state_dict().items()} == {
        k: v.shape for k, v in published.state_dict().items()
    }


def test_a_small_encoder_is_read_off_its_tensors() -> None:
    assert infer_shape(small_sam(0).state_dict()) == SMALL


def test_masks_equal_those_of_sam_predictor(segmenter: SamSegmenter) -> None:
    native, truth = blobs(5, (270, 480))
    predictor = SamPredictor(small_sam(0))
    predictor.set_image(native)
    scaled = predictor.transform.apply_image(native)
    boxes = np.concatenate([boxes_of(truth), [[-20, 100, 90, 290]]]).astype(np.float32)
    found = segmenter.segment(scaled, boxes, (270, 480))
    assert found.size_hw == (270, 480)
    for i, box in enumerate(boxes):
        expected, score, _ = predictor.predict(box=box, multimask_output=False)
        margin = (box[2:] - box[:2]) * 0.1
        grown = np.concatenate([box[:2] - margin, box[2:] + margin])
        left, top, right, bottom = pixel_box(grown, (270, 480))
        inside = np.zeros((270, 480), np.bool_)
        inside[top:bottom, left:right] = True
        mask = decode(found, i)
        assert 0 < expected[0].sum() < expected[0].size
        assert (mask != (expected[0] & inside)).sum() <= 2
        assert found.area_px[i] == mask.sum()
        assert found.score[i] == pytest.approx(score[0], abs=1e-5)


def test_a_box_gives_the_same_mask_with_any_others(segmenter: SamSegmenter) -> None:
    image, truth = blobs(2)
    boxes = np.repeat(boxes_of(truth), 14, axis=0)  # more than are prompted at once
    together = segmenter.segment(image, boxes, (144, 256))
    for i in (0, 20, 41):
        alone = segmenter.segment(image, boxes[i : i + 1], (144, 256))
        assert np.abs(decode(alone, 0).astype(int) - decode(together, i)).sum() <= 2


def test_no_boxes_give_no_masks(segmenter: SamSegmenter) -> None:
    assert len(segmenter.segment(blobs(0)[0], np.zeros((0, 4), np.float32), (1080, 1920))) == 0


def test_a_box_outside_the_frame_has_an_empty_mask_and_the_boxes_foot(segmenter: SamSegmenter) -> None:
    found = segmenter.segment(blobs(0)[0], np.array([[300, 200, 340, 260]], np.float32), (144, 256))
    assert found.area_px[0] == 0
    assert not decode(found, 0).any()
    assert found.foot_px[0].tolist() == [320, 260]


@pytest.mark.parametrize("image", [np.zeros((100, 200, 3), np.uint8), np.zeros((144, 256, 3), np.float32)])
def test_frames_of_another_scale_are_refused(image: NDArray[Any], segmenter: SamSegmenter) -> None:
    with pytest.raises(ModelError, match="longer side has 256 px"):
        segmenter.segment(image, np.zeros((1, 4), np.float32), (144, 256))


def overfit(sam: Any, steps: int) -> None:
    """Teach it, in a few seconds, that a box means the bright ellipse in it."""
    torch.set_num_threads(1)  # Two threads that wait for each other take minutes on a machine with other work.
    sam.train()
    optimizer = torch.optim.AdamW(sam.parameters(), lr=2e-3)
    for step in range(steps):
        image, truth = blobs(step % 8, TINY_HW)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None]
        features = sam.image_encoder(sam.preprocess(pixels))
        sparse, dense = sam.prompt_encoder(points=None, boxes=torch.from_numpy(boxes_of(truth)), masks=None)
        low, _ = sam.mask_decoder(features, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)
        logits = sam.postprocess_masks(low, TINY_HW, TINY_HW)[:, 0]
        target = torch.from_numpy(truth).float()
        shared = (logits.sigmoid() * target).sum((1, 2))
        dice = 1 - 2 * shared / (logits.sigmoid().sum((1, 2)) + target.sum((1, 2)))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target) + dice.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sam.eval()


def mean_iou(segmenter: SamSegmenter, image: NDArray[np.uint8], prompts: NDArray[np.bool_]) -> float:
    found = segmenter.segment(image, boxes_of(prompts), TINY_HW)
    masks = [decode(found, i) for i in range(len(found))]
    return float(np.mean([(m & t).sum() / (m | t).sum() for m, t in zip(masks, prompts, strict=True)]))


def test_masks_follow_image_and_prompt_of_a_trained_checkpoint(tmp_path: Path) -> None:
    sam = small_sam(1, TINY)
    overfit(sam, steps=150)
    torch.save(sam.state_dict(), tmp_path / "trained.pth")
    trained = load_segmenter(SegmenterSettings(tmp_path / "trained.pth", threads=1))
    image, truth = blobs(3, TINY_HW)
    right = mean_iou(trained, image, truth)
    assert right > 0.8
    found = trained.segment(image, boxes_of(truth), TINY_HW)
    box_feet = np.array([(b[0] + b[2], 2 * b[3]) for b in boxes_of(truth)]) / 2
    assert np.abs(found.foot_px - box_feet).max() < 5
    # Negative controls: random weights do not find them; another picture under the same boxes changes the masks.
    assert mean_iou(SamSegmenter(small_sam(1, TINY), "cpu"), image, truth) < right - 0.2
    assert mean_iou(trained, blobs(3, TINY_HW)[0][:, ::-1].copy(), truth) < right - 0.1


def test_other_files_are_refused_by_name(tmp_path: Path, shared_data: Path, checkpoint: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    torch.save({k: v for k, v in state.items() if "output_upscaling.3" not in k}, tmp_path / "missing_layer.pth")
    torch.save({**state, "another": torch.zeros(1)}, tmp_path / "extra_tensor.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "truncated.pth").write_bytes(checkpoint.read_bytes()[:5000])
    osnet = shared_data / "weights/osnet_x0_25_msmt17.pth"
    names = ["missing_layer", "extra_tensor", "empty", "text", "truncated", "absent"]
    for path in [*(tmp_path / f"{name}.pth" for name in names), osnet]:
        with pytest.raises(WeightsError, match=path.name):
            load_segmenter(SegmenterSettings(path))


def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    malicious_pickle: Callable[[str], tuple[Path, Path]],
) -> None:
    path, trace = malicious_pickle("sam.pth")
    with pytest.raises(WeightsError, match="without running code"):
        load_segmenter(SegmenterSettings(path))
    assert not trace.exists()
