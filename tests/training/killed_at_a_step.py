"""The ``fusion`` command, one process of which is killed behind a step: KILL_RANK, KILL_STEP."""

import os
import signal
import sys

from fusion_core.cli.main import main
from fusion_lab.training.loop import Trainer

whole_run = Trainer.run


def run(self, on_step):
    def step():
        on_step()
        if os.environ["RANK"] == os.environ["KILL_RANK"] and self.step == int(
            os.environ["KILL_STEP"]
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    whole_run(self, step)


if __name__ == "__main__":
    Trainer.run = run
    sys.exit(main(sys.argv[1:]))
