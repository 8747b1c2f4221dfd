"""`retail-ray train-demo-models`: the weights of the demo, again from seeds."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from retail_ray.refusals import refusals


@click.command("train-demo-models")
@click.option(
    "--full/--smoke", default=False, help="The whole recipe (hours on a CPU), or two minutes to prove it works."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out/demo-models"), show_default=True)
@click.option(
    "--seed", type=click.IntRange(0, 999), default=0, show_default=True, help="0 is the shipped weights' seed."
)
@click.option("--threads", type=click.IntRange(0, 256), default=0, help="Threads of PyTorch; 0: all cores.")
@click.option(
    "--device", default="auto", show_default=True, help="cpu, cuda or cuda:N for the training; auto: CUDA if there."
)
def train_demo_models(out: Path, *, full: bool, seed: int, threads: int, device: str) -> None:
    """Render training data from seeds and train the demo's detector, embedder and segmenter.

    A second start with the same folder goes on with the stage that was cut off.
    """
    # ultralytics speaks on stdout, which belongs to the result alone.
    with refusals(), redirect_stdout(sys.stderr):
        from retail_ray.runtime.demo_models import train_demo_models as train

        result = train(
            out, "full" if full else "smoke", seed, lambda text: click.echo(text, err=True), threads, device=device
        )
    for name in ("detector", "embedder", "segmenter"):
        stage = result["stages"][name]
        click.echo(f"{out / stage['out_file']}  {stage['size_bytes']} bytes  sha256 {stage['sha256']}")
