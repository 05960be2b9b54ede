"""Run the node: `python -m fusion_node`."""

import sys

from fusion_node.main import main

sys.exit(main())
