"""Names of actors and applications in the Ray cluster."""

NAMESPACE = "retail_ray"


def gallery_name(site_id: str) -> str:
    return f"gallery/{site_id}"


def site_name(site_id: str) -> str:
    return f"site/{site_id}"


def camera_name(site_id: str, camera_id: str) -> str:
    return f"camera/{site_id}/{camera_id}"


# Writers of the lake's files that are no cameras; a camera may not have such a name.
COORDINATOR, GALLERY, SITE = "coordinator", "gallery", "site"
