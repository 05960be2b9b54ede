"""ROS 2 node around fusion_core: translation only."""
