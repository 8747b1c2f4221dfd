"""Remembered views in the lake's folder: described corners of each camera's background, no pixels.

<lake>/_calibration/<site>/<camera>-<version>.npz   version: digest of the camera's calibration
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retail_ray.core.errors import DataError, LakeError
from retail_ray.core.view import ViewFeatures
from retail_ray.lake.files import check_name, lake_errors, write_atomically


@dataclass(frozen=True, slots=True)
class ViewFile:
    """The remembered view of one camera under one calibration. It may not exist yet."""

    lake_root: Path
    site_id: str
    camera_id: str
    version: str

    @property
    def path(self) -> Path:
        folder = Path(self.lake_root) / "_calibration" / check_name("site", self.site_id)
        return folder / f"{check_name('camera', self.camera_id)}-{self.version}.npz"

    def write(self, features: ViewFeatures, run_id: str) -> None:
        """Keep what `run_id` learned; the same features give the same bytes."""
        content = io.BytesIO()
        np.savez_compressed(
            content, descriptors=features.descriptors, points_px=features.points_px, run_id=np.array(run_id)
        )
        with lake_errors("write", self.path):
            write_atomically(self.path, content.getvalue())

    def read(self, run_id: str) -> ViewFeatures | None:
        """None where nothing is remembered, or only what `run_id` itself learned: started anew, it learns it again.

        LakeError names a damaged file.
        """
        path = self.path
        with lake_errors("read", path):
            if not path.exists():
                return None
            blob = path.read_bytes()
        try:
            with np.load(io.BytesIO(blob), allow_pickle=False) as content:
                if str(content["run_id"]) == run_id:
                    return None
                return ViewFeatures(content["descriptors"], content["points_px"])
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, DataError) as error:
            raise LakeError(
                f"{path}: the remembered view of camera '{self.camera_id}' is damaged ({error}); "
                "delete it while the camera stands right: it is learnt anew"
            ) from error
