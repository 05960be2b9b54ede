"""Prompts from a mask, a few per marked object: what it is, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.types import UInt8Image

CELLS = (48, 32)
"""Rows and columns of the grid on which an object and its surround are looked at."""

# So many objects at most; of more, so many large ones stand for themselves.
_MOST, _ALONE = 32, 24
# An object is looked at with this share of its size all round, and at least so many pixels.
_MARGIN, _MARGIN_PX = 0.5, 8
_QUANTILES = (0.1, 0.5, 0.9)
_MARKED, _UNMARKED = 0.5, 0.05
# Corners of the outline of a box, or of boxes that overlap, lie so many pixels apart on average.
_STRAIGHT_PX = 4
# One that takes more than this share of the picture's height and width is a place.
_PLACE = 0.5


class View(NamedTuple):
    """What can be seen of a batch of ``B`` pairs.

    Attributes:
        reference: ``Bx1xHxW`` reference fusion in [0, 1].
        pictures: ``BxKxHxW`` pictures in [0, 1], thermal first; padded.
        maps: ``BxCxhxw`` features of every picture, on the network's grid.
        fused: ``BxCxhxw`` features of the reference fusion.
    """

    reference: Tensor
    pictures: Tensor
    maps: tuple[Tensor, ...]
    fused: Tensor


class Objects(NamedTuple):
    """The marked objects of a batch, ``M`` in all, as prompts tell of them.

    Attributes:
        picture: Index of each one's picture.
        areas: ``Mx4`` top, left, bottom and right of each with its surround, in shares of the
            picture; of no height or width where there is none.
        shapes: ``Mx1x48x32`` in [0, 1]: which parts of the area are marked.
        levels: ``Mx2xKx3`` quantiles .1, .5 and .9 of every picture, of what is marked and of the
            rest of the area.
        features: ``Mx2xKxC`` mean features of the same.
        pictures: ``MxKx48x32`` what the pictures show there.
        maps: ``MxKxCx48x32`` the features there.
        upright: ``Mx1`` logarithm of height over width of what is marked.
        boxes: Indices of those that are given by a box, whose shape is to be found.
    """

    picture: tuple[int, ...]
    areas: Tensor
    shapes: Tensor
    levels: Tensor
    features: Tensor
    pictures: Tensor
    maps: Tensor
    upright: Tensor
    boxes: tuple[int, ...]

    def given_by_boxes(self) -> Objects:
        """Return those whose shape is to be found."""
        chosen = list(self.boxes)
        return Objects(
            picture=tuple(self.picture[index] for index in chosen),
            areas=self.areas[chosen],
            shapes=self.shapes[chosen],
            levels=self.levels[chosen],
            features=self.features[chosen],
            pictures=self.pictures[chosen],
            maps=self.maps[chosen],
            upright=self.upright[chosen],
            boxes=tuple(range(len(chosen))),
        )


class Prompts(NamedTuple):
    """What a mask says.

    Attributes:
        tokens: ``BxKxNxD`` prompts per modality, thermal first.
        areas: ``BxNx4`` where each may be read, as in :class:`Objects`; None: anywhere.
        objects: The objects that they are of; None where prompts are of the whole mask.
        exact: ``Bx1xhxw`` shares of the features' cells that are marked by a shape, not by a box;
            None where prompts are of the whole mask.
    """

    tokens: Tensor
    areas: Tensor | None = None
    objects: Objects | None = None
    exact: Tensor | None = None


class MarkedObject(NamedTuple):
    """A connected object of a mask.

    Attributes:
        box: Left, top, width and height in pixels.
        by_box: It is an upright rectangle, or several: where in it the object is, is to be found.
    """

    box: tuple[int, int, int, int]
    by_box: bool


class ObjectPromptEncoder(nn.Module):
    """Reference prompt encoder for several objects: two prompts for each, of it and its surround.

    Like CtrlFuse's it describes what is marked by the means of features over the mask. Other than
    there, every connected object of the mask is described by itself, beside the ring around it, and
    with its area and shape; so one mask may hold many and small ones. At most 32, see
    :func:`find_objects`. Upright rectangles are boxes around objects;
    any other shape is exact, and so is a rectangle of more than half the picture's height and
    width.

    Args:
        channels: Channels of the features of one modality.
        dim: Width of the prompts.
        down: Edge in pixels of a cell of the features.
    """

    def __init__(self, channels: int, dim: int, down: int) -> None:
        super().__init__()
        self.down = down
        known = 2 * (len(_QUANTILES) + channels) + 4
        self.embed = nn.Sequential(
            nn.Linear(known, dim), nn.ReLU(), nn.Linear(dim, 2 * dim), nn.Unflatten(-1, (2, dim))
        )

    def forward(self, view: View, mask: Tensor) -> Prompts:
        """Return prompts; of a picture without any, the first, which says nothing, is read.

        Args:
            view: The pictures.
            mask: ``Bx1xHxW`` in [0, 1], padded as the pictures; what is above 0 is marked.
        """
        found, exact = [], mask.new_zeros(mask.shape)
        for index, one in enumerate((mask[:, 0] > 0).byte().cpu().numpy()):
            objects, shapes = find_objects(one)
            found += [(index, each) for each in objects]
            exact[index, 0] = torch.from_numpy(shapes).to(exact)
        looked = self._looked(view, mask, found)
        return self._tokens(looked, len(mask), len(view.maps), F.avg_pool2d(exact, self.down))

    def _looked(
        self, view: View, mask: Tensor, found: Sequence[tuple[int, MarkedObject]]
    ) -> Objects:
        """Return what is seen of objects, each with the index of its picture."""
        height, width = view.fused.shape[-2:]
        size = torch.tensor((height, width, height, width), device=mask.device)
        cells = [area_of(each.box, mask.shape[-2:], self.down) for _, each in found]
        areas = torch.tensor(cells, device=mask.device).view(-1, 4) / size
        picture = tuple(index for index, _ in found)
        shapes = look_at((mask > 0).float(), picture, areas)
        pictures = look_at(view.pictures, picture, areas)
        maps = look_at(torch.cat(view.maps, 1), picture, areas)
        maps = maps.view(len(found), len(view.maps), view.maps[0].shape[1], *CELLS)
        levels, features = _described(pictures, maps, shapes)
        edges = torch.tensor([each.box[2:] for _, each in found], device=mask.device).view(-1, 2)
        upright = (edges[:, 1:] / edges[:, :1]).log()
        boxes = tuple(number for number, (_, each) in enumerate(found) if each.by_box)
        return Objects(picture, areas, shapes, levels, features, pictures, maps, upright, boxes)

    def _tokens(self, objects: Objects, batch: int, modalities: int, exact: Tensor) -> Prompts:
        count = len(objects.picture)
        levels, features = (known.transpose(1, 2) for known in (objects.levels, objects.features))
        placed = objects.areas[:, None].expand(-1, modalities, -1)
        known = torch.cat([levels.flatten(2), features.flatten(2), placed], 2)
        own = self.embed(known)  # MxKx2xD
        most = max((objects.picture.count(index) for index in range(batch)), default=0)
        tokens = own.new_zeros(batch, modalities, 1 + 2 * most, own.shape[-1])
        areas = objects.areas.new_zeros(batch, 1 + 2 * most, 4)
        areas[:, 0, 2:] = 1
        filled = [1] * batch
        for number in range(count):
            index = objects.picture[number]
            place = slice(filled[index], filled[index] + 2)
            tokens[index, :, place] = own[number]
            areas[index, place] = objects.areas[number]
            filled[index] += 2
        return Prompts(tokens, areas, objects, exact)


def area_of(
    box: tuple[int, int, int, int], size: Sequence[int], down: int
) -> tuple[int, int, int, int]:
    """Return top, left, bottom and right of an object and its surround, in cells.

    Args:
        box: Left, top, width and height of the object in pixels.
        size: Height and width of the picture, multiples of ``down``.
        down: Edge in pixels of a cell.
    """
    left, top, width, height = box
    rows, columns = (edge // down for edge in size)
    along, across = (max(_MARGIN_PX, _MARGIN * edge) for edge in (height, width))
    first = [max(0, int((edge - by) // down)) for edge, by in ((top, along), (left, across))]
    last = [
        min(most, int(-((-edge - by) // down)))
        for edge, by, most in ((top + height, along, rows), (left + width, across, columns))
    ]
    return first[0], first[1], last[0], last[1]


def find_objects(marked: UInt8Image) -> tuple[list[MarkedObject], UInt8Image]:
    """Return at most 32 objects of a mask, and the mask without those given by boxes.

    Of more connected objects the 24 largest stand for themselves, and of the others those next to
    each other count as one, of any shape.

    Args:
        marked: ``HxW`` uint8 in {0, 1}.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(marked)
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    alone = order if len(order) <= _MOST else order[:_ALONE]
    found, exact = [], marked.copy()
    for label in alone.tolist():
        x, y, w, h = stats[label, :4].tolist()
        here = (slice(y, y + h), slice(x, x + w))
        own = (labels[here] == label).astype(np.uint8)
        by_box = not _is_place(own, marked.shape) and _is_rectilinear(own)
        if by_box:
            exact[here][own > 0] = 0
        found.append(MarkedObject((x, y, w, h), by_box))
    others = np.isin(labels, order[len(alone) :]).astype(np.uint8)
    return found + _grouped(others, _MOST - _ALONE), exact


def _grouped(marked: UInt8Image, most: int) -> list[MarkedObject]:
    """Return at most so many groups of objects that are next to each other."""
    height, width = marked.shape
    step, coarse = 1, marked
    while True:
        _, _, stats, _ = cv2.connectedComponentsWithStats(coarse)
        if len(stats) - 1 <= most:
            break
        step *= 2
        tensor = torch.from_numpy(coarse)[None].float()
        coarse = np.asarray(F.max_pool2d(tensor, 2, ceil_mode=True)[0].byte().numpy())
    boxes = (step * stats[1:, :4]).tolist()
    return [
        MarkedObject((x, y, min(w, width - x), min(h, height - y)), by_box=False)
        for x, y, w, h in boxes
    ]


def _is_place(own: UInt8Image, size: Sequence[int]) -> bool:
    """Return whether an object is a rectangle that takes more than half of both edges."""
    large = all(edge > _PLACE * whole for edge, whole in zip(own.shape, size, strict=True))
    return large and bool(own.all())


def _is_rectilinear(own: UInt8Image) -> bool:
    """Return whether the outline of one object runs along rows and columns, as that of boxes."""
    (outline, *_), _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = outline[:, 0]
    steps = np.abs(corners - np.roll(corners, 1, axis=0))
    oblique = steps[steps.min(1) > 0]  # one pixel at the inner corners of boxes that overlap
    straight = steps.sum() >= _STRAIGHT_PX * len(corners)
    return bool(straight and oblique.max(initial=0) <= 1)


def look_at(maps: Tensor, picture: Sequence[int], areas: Tensor) -> Tensor:
    """Return what is in each area, ``MxCx48x32`` float32; zero where an area is empty.

    Args:
        maps: ``BxCxHxW``.
        picture: Index of each area's picture.
        areas: ``Mx4``, see :class:`Objects`.
    """
    seen = maps.new_zeros(len(picture), maps.shape[1], *CELLS, dtype=torch.float32)
    for number, (index, cells) in enumerate(
        zip(picture, cells_of(areas, *maps.shape[-2:]), strict=True)
    ):
        top, left, bottom, right = cells
        part = maps[index : index + 1, :, top:bottom, left:right].float()
        if part.numel():
            seen[number] = _resized(part, CELLS)[0]
    return seen


def lay(logits: Tensor, picture: Sequence[int], areas: Tensor, canvas: Tensor) -> Tensor:
    """Return a ``Bx1xHxW`` canvas with the ``Mx1x48x32`` logits of areas where they are higher."""
    for own, index, cells in zip(logits, picture, cells_of(areas, *canvas.shape[-2:]), strict=True):
        top, left, bottom, right = cells
        if bottom > top and right > left:
            here = (index, slice(None), slice(top, bottom), slice(left, right))
            resized = _resized(own[None], (bottom - top, right - left))[0]
            canvas[here] = torch.maximum(canvas[here].clone(), resized)
    return canvas


def cells_of(areas: Tensor, height: int, width: int) -> list[list[int]]:
    """Return top, left, bottom and right of areas on a grid, whole cells."""
    size = areas.new_tensor((height, width, height, width))
    cells: list[list[int]] = (areas * size).round().int().tolist()
    return cells


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False, antialias=True)


def _described(pictures: Tensor, maps: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
    """Return quantiles ``Mx2xKx3`` and mean features ``Mx2xKxC`` of objects and surrounds."""
    flat = shapes.flatten(1)
    # A thin object may fill no cell: then the fullest ones are it.
    object_ = flat >= flat.amax(1, keepdim=True).clamp_max(_MARKED)
    ring = flat <= _UNMARKED
    ring = ring | ~ring.any(1, keepdim=True)
    parts = [
        (_quantiles(pictures.flatten(2), own), _means(maps.flatten(3), own))
        for own in (object_, ring)
    ]
    levels, features = (torch.stack(each, 1) for each in zip(*parts, strict=True))
    return levels, features


def _quantiles(values: Tensor, own: Tensor) -> Tensor:
    """Return ``MxKx3`` quantiles of ``MxKxS`` over the cells of ``MxS``."""
    count = own.sum(1)
    ordered = values.masked_fill(~own[:, None], torch.inf).sort(-1).values
    shares = torch.tensor(_QUANTILES, device=values.device)
    places = ((count[:, None] - 1) * shares).round().long()
    return ordered.gather(2, places[:, None].expand(-1, values.shape[1], -1))


def _means(maps: Tensor, own: Tensor) -> Tensor:
    """Return ``MxKxC`` means of ``MxKxCxS`` over the cells of ``MxS``."""
    share = own / own.sum(1, keepdim=True)
    return torch.einsum("mkcs,ms->mkc", maps, share)
