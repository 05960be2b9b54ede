"""Camera in, fused image out over DDS. Only the modules `cameras` and `node` import rclpy."""
