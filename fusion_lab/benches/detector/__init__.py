"""What a detector finds with both cameras, with one of them broken, and on single pictures."""
