"""What a mask does to the picture that CtrlFuse fuses."""
