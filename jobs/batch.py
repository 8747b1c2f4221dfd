"""`retail-ray run` as a Ray job.

ray job submit --working-dir . -- python jobs/batch.py --site site.yaml --lake /data/lake
"""

import sys

from retail_ray.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
