"""What the parts that name a system do to its picture, by leaving each of them out."""
