"""`retail-ray train-demo-models` as a Ray job.

ray job submit --working-dir . -- python jobs/train_demo_models.py --full --out /data/demo-models
"""

import sys

from retail_ray.cli import main

if __name__ == "__main__":
    main(["train-demo-models", *sys.argv[1:]])
