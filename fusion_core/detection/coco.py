"""The classes of COCO 2017 (Lin et al., 2014), which most public detectors tell apart."""

from __future__ import annotations

from typing import Final

_TEXT: Final = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,"
    "banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
_UNUSED: Final = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})

COCO_NAMES: Final = tuple(_TEXT.split(","))
"""The 80 classes in order."""

COCO_NUMBERS: Final = tuple(number for number in range(1, 91) if number not in _UNUSED)
"""Their category numbers in COCO's own files, which leave some of 1 to 90 out."""
