"""Ways around parts of small networks whose parts act, or do not act, by construction."""

import dataclasses

import numpy as np
import pytest
import torch

from fusion_core.errors import UsageError
from fusion_core.models import Cues, LumaFuser, LumaOutput, create_model, load_model
from fusion_core.models.ctrlfuse import ROBOT, CtrlFuse
from fusion_core.models.m2pn import M2PN, M2PNConfig
from fusion_core.models.m2pn_cells import CellsConfig, M2PNCells
from fusion_core.models.mdaif import MdaIF, MdaIFConfig
from fusion_core.models.tcmoa.prompt_layer import PromptLayer
from fusion_lab.benches.ctrlfuse.effects import PromptedFusion
from fusion_lab.benches.mechanisms import ctrlfuse, m2pn, mdaif, tcmoa
from fusion_lab.benches.mechanisms.bench import Mechanisms, measure_parts, system_of
from fusion_lab.benches.mechanisms.bypass import Made, Sample, replaced, replayed
from fusion_lab.benches.mechanisms.mdaif import passed_over, without
from fusion_lab.benches.registry import load_bench

EDGE = (64, 96)
TINY = MdaIFConfig(
    widths=(8, 8, 16, 16),
    depths=(1, 1, 1, 1),
    heads=(1, 1, 2, 2),
    ratio=2,
    dim=16,
    stem=8,
    down=2,
    decoder=(16, 16, 8, 8),
    blocks=1,
)


def planes(seed, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, channels, *EDGE, generator=generator)


def effects(network, system, samples):
    found = measure_parts(network, system, samples, seeds=2)
    return {(effect.part, effect.how): effect for effect in found}


def changes(network, system, samples):
    return {key: effect.change for key, effect in effects(network, system, samples).items()}


def outputs(network, system, samples):
    return [system.run(network, sample, sample.cues).fused for sample in samples]


class TestM2PN:
    @pytest.fixture
    def network(self):
        torch.manual_seed(3)
        config = M2PNConfig(
            growth=4, layers=1, width=8, tail=(8,), dim=8, heads=2, slots=4, down=2, levels=1
        )
        network = M2PN("tiny", config).eval()
        torch.nn.init.normal_(network.head.conv.weight)  # untrained, the mean of the sources
        for block in network.blocks:  # untrained, prompts modulate nothing
            torch.nn.init.normal_(block.modulation.affine.weight)
        return network

    @pytest.fixture
    def samples(self):
        pairs = [(planes(seed), planes(seed + 10)) for seed in range(3)]
        gray = [tuple(p[0, 0].mul(255).byte().numpy() for p in pair) for pair in pairs]
        return [Sample(*pair, Cues(), g) for pair, g in zip(pairs, gray, strict=True)]

    def test_parts_that_act_are_seen_to_act(self, network, samples):
        assert all(change > 0 for change in changes(network, m2pn.SYSTEM, samples).values())

    def test_prompts_that_modulate_nothing_change_nothing(self, network, samples):
        for block in network.blocks:
            torch.nn.init.zeros_(block.modulation.affine.weight)
        assert not any(changes(network, m2pn.SYSTEM, samples).values())

    def test_a_memory_that_is_not_heard_changes_nothing_while_prompts_do(self, network, samples):
        torch.nn.init.zeros_(network.recall.weight)
        for (part, _), change in changes(network, m2pn.SYSTEM, samples).items():
            assert (change == 0) == (part == "memory bank"), part

    def test_the_network_is_itself_again_afterwards(self, network, samples):
        with torch.inference_mode():
            before = outputs(network, m2pn.SYSTEM, samples)
            measure_parts(network, m2pn.SYSTEM, samples, seeds=1)
            after = outputs(network, m2pn.SYSTEM, samples)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class TestM2PNCells:
    @pytest.fixture
    def network(self):
        torch.manual_seed(3)
        network = M2PNCells("tiny", CellsConfig(stem=4, width=8, dim=8, heads=2, slots=4)).eval()
        for layer in (network.head.conv, network.head.scene):  # untrained: the sources' mean
            torch.nn.init.normal_(layer.weight)
        for block in network.blocks:
            torch.nn.init.normal_(block.modulation.affine.weight)
        return network

    @pytest.fixture
    def samples(self):
        pairs = [(planes(seed), planes(seed + 10)) for seed in range(3)]
        gray = [tuple(p[0, 0].mul(255).byte().numpy() for p in pair) for pair in pairs]
        return [Sample(*pair, Cues(), g) for pair, g in zip(pairs, gray, strict=True)]

    def test_parts_that_act_are_seen_to_act(self, network, samples):
        assert system_of(network) is m2pn.CELLS_SYSTEM
        assert all(change > 0 for change in changes(network, m2pn.CELLS_SYSTEM, samples).values())

    def test_a_scene_that_the_head_does_not_hear_changes_nothing_there(self, network, samples):
        torch.nn.init.zeros_(network.head.scene.weight)
        for (part, _), change in changes(network, m2pn.CELLS_SYSTEM, samples).items():
            assert (change == 0) == (part == "scene in the head"), part


class TestMdaIF:
    @pytest.fixture
    def network(self):
        torch.manual_seed(4)
        network = MdaIF("tiny", TINY).eval()
        for part in (network.head, *network.experts.experts):  # untrained, they change nothing
            torch.nn.init.normal_(part.head.weight, std=0.1)
        return network

    @pytest.fixture
    def samples(self):
        found = []
        for seed in range(2):
            colour, tokens = planes(seed, 3), torch.rand(1, 16, 128)
            cues = Cues(chroma=colour[:, 1:], tokens=tokens)
            found.append(Sample(planes(seed + 9), colour[:, :1], cues, planes(seed + 5)[0, 0]))
        return found

    def test_parts_that_act_are_seen_to_act(self, network, samples):
        assert all(change > 0 for change in changes(network, mdaif.SYSTEM, samples).values())

    def test_prototypes_of_length_zero_weigh_by_one_half_already(self, network, samples):
        for scale in network.prototypes:
            torch.nn.init.zeros_(scale.rows)
        found = changes(network, mdaif.SYSTEM, samples)
        assert found["prototypes", "channel attention 1/2"] == 0
        assert found["experts", "all left out"] > 0

    def test_experts_that_give_nothing_are_not_missed(self, network, samples):
        for expert in network.experts.experts:
            torch.nn.init.zeros_(expert.head.weight)
            torch.nn.init.zeros_(expert.head.bias)
        for (part, _), change in changes(network, mdaif.SYSTEM, samples).items():
            assert (change == 0) == (part == "experts"), part

    def test_gates_without_the_first_and_the_second_choice_and_of_the_others(self):
        gates = torch.tensor([[0.7, 0.0, 0.3, 0.0]])
        assert without(gates, 0).tolist() == [[0.0, 0.0, 1.0, 0.0]]
        assert without(gates, 1).tolist() == [[1.0, 0.0, 0.0, 0.0]]
        assert passed_over(gates).tolist() == [[0.0, 0.5, 0.0, 0.5]]


class TestCtrlFuse:
    @pytest.fixture
    def network(self):
        torch.manual_seed(5)
        config = dataclasses.replace(ROBOT, dim=16)
        network = CtrlFuse("tiny", config).eval()
        torch.nn.init.normal_(network.head.conv.weight)  # untrained, the mean of the sources
        return network

    @pytest.fixture
    def samples(self):
        found = []
        for seed in range(2):
            mask = np.zeros(EDGE, np.uint8)
            mask[10 + 8 * seed : 40, 20 : 44 + 8 * seed] = 1
            cues = Cues(mask=torch.from_numpy(mask).float()[None, None])
            found.append(Sample(planes(seed), planes(seed + 9), cues, mask, "masks"))
        return found

    def test_a_mask_that_adds_nothing_changes_nothing(self, network, samples):
        for module in network.prompted:
            torch.nn.init.zeros_(module.merge.weight)
            torch.nn.init.zeros_(module.merge.bias)
        assert max(changes(network, ctrlfuse.SYSTEM, samples).values()) < 1e-4

    def test_without_a_mask_the_target_has_the_contrast_of_the_reference(self, network, samples):
        found = effects(network, ctrlfuse.SYSTEM, samples)
        without_mask = found["mask", "none"]
        assert without_mask.change > 0
        assert without_mask.whole + without_mask.difference == pytest.approx(0, abs=1e-4)

    def test_prompts_of_the_same_picture_are_its_own(self, network, samples):
        sample = samples[0]

        def run():
            return ctrlfuse.SYSTEM.run(network, sample, sample.cues).fused

        with torch.inference_mode():
            whole = run()
            with replayed([network.encoder], run):
                assert torch.equal(run(), whole)

    def test_prompts_that_say_nothing_are_no_mask(self, network, samples):
        found = effects(network, ctrlfuse.SYSTEM, samples)
        assert found["prompts", "zero"].change == found["mask", "none"].change
        assert found["prompts", "zero"].difference == found["mask", "none"].difference

    def test_the_segmenter_passed_by_finds_the_shape_of_the_prompts(self, network, samples):
        bypass = next(b for b in ctrlfuse.SYSTEM.bypasses if b.part == "segmenter")
        sample, rng = samples[0], np.random.default_rng(0)
        with torch.inference_mode(), bypass.hold(network, lambda: None, rng):
            output = network.forward_luma(sample.thermal, sample.visible, sample.cues)
        found = torch.nn.functional.interpolate((output.logits > 0).float(), EDGE)
        assert float((found - sample.cues.mask).abs().mean()) < 0.02

    def test_a_change_around_the_target_counts_against_its_contrast(self):
        """Twice the contrast, .2 to .4; in the box beside the target of 8x8 a change of .1.

        Around are the 24x24 pixels up to 8 away, less the target; 8x8 of them change.
        """
        target, given = (np.zeros((80, 80), np.uint8) for _ in range(2))
        target[36:44, 36:44] = 1
        given[36:44, 36:52] = 1
        reference = np.full((80, 80), 0.5, np.float32) + 0.2 * target.astype(np.float32)
        fused = reference + 0.2 * target.astype(np.float32)
        fused[36:44, 44:52] += 0.1
        made = PromptedFusion(fused, reference, target)
        gained = ctrlfuse._gained(made, target, given)
        assert gained == pytest.approx(1 - 64 * 0.1 / (24**2 - 64) / 0.2, rel=1e-4)


class TestTCMoA:
    @pytest.fixture
    def network(self):
        torch.manual_seed(6)
        network = load_model("tcmoa")
        for module in network.modules():
            if isinstance(module, PromptLayer):
                torch.nn.init.normal_(module.look.weight)
        return network

    @pytest.fixture
    def samples(self):
        rng = np.random.default_rng(7)
        pictures = [rng.integers(0, 256, (30, 40, 3), np.uint8) for _ in range(4)]
        return [
            tcmoa.sample_of(*pictures[:2], "mff"),
            tcmoa.sample_of(*pictures[2:], "mff"),
        ]

    def test_parts_that_act_are_seen_to_act(self, network, samples):
        assert all(change > 0 for change in changes(network, tcmoa.SYSTEM, samples).values())

    def test_prompts_that_say_nothing_can_be_another_pictures(self, network, samples):
        for module in network.modules():
            if isinstance(module, PromptLayer):
                for expert in module.adapters.experts:
                    torch.nn.init.zeros_(expert[-1].weight)
                    torch.nn.init.zeros_(expert[-1].bias)
        found = changes(network, tcmoa.SYSTEM, samples)
        assert found["prompts", "one half"] == 0
        assert found["prompts", "another picture's"] == 0
        assert found["adapters", "removed"] > 0

    def test_tasks_are_measured_apart(self, network, samples):
        both = samples + [
            dataclasses.replace(s, cues=Cues(task="mef"), kind="mef") for s in samples
        ]
        alone = measure_parts(network, tcmoa.SYSTEM, samples, seeds=1)
        found = measure_parts(network, tcmoa.SYSTEM, both, seeds=1)
        assert found[: len(alone)] == alone
        assert {effect.figure.partition(":")[0] for effect in found} == {"mff", "mef"}

    def test_clues_that_are_not_read_are_not_missed(self, network, samples):
        for module in network.modules():
            if isinstance(module, PromptLayer):
                torch.nn.init.zeros_(module.look.weight)
        assert changes(network, tcmoa.SYSTEM, samples)["clues of the prompts", "none"] == 0

    def test_adapters_drawn_by_lot_are_as_many(self, network, samples):
        gates = []
        bypass = next(b for b in tcmoa.SYSTEM.bypasses if b.how == "adapters drawn by lot")
        kept = network.decision.adapters.gate
        with torch.inference_mode(), bypass.hold(network, None, np.random.default_rng(0)):
            handle = kept.register_forward_hook(lambda _m, _i, routing: gates.append(routing.gates))
            network.decide((samples[0].visible, samples[0].thermal), samples[0].cues)
            handle.remove()
        assert ((gates[0] > 0).sum(1) == network.config.chosen).all()
        torch.testing.assert_close(gates[0].sum(1), torch.ones(len(gates[0])))


class Sum(LumaFuser):
    def __init__(self):
        super().__init__("sum", None)
        self.part = torch.nn.Identity()

    def fuse_luma(self, thermal, visible, slots, cues):
        return LumaOutput(self.part(thermal) + visible)


def of_sums(*, mixed=False, **changes):
    """Return a system of sums whose figure is their mean, with one way around their part."""
    way = dataclasses.replace(m2pn.SYSTEM.bypasses[0], cues=lambda cues, *_: cues, **changes)
    return dataclasses.replace(
        m2pn.SYSTEM,
        network=Sum,
        run=lambda net, sample, cues: Made(
            fused := net.forward_luma(sample.thermal, sample.visible, cues).fused[0, 0],
            float(fused.mean()),
        ),
        bypasses=(way,),
        mixed=mixed,
    )


def test_change_and_figure_by_hand():
    """The part hands on the thermal picture; without it the sum is as much lower."""
    network = Sum().eval()
    system = of_sums(hold=lambda net, *_: replaced([net.part], lambda _m, _i, out: 0 * out))
    levels = [torch.full((1, 1, 8, 8), level) for level in (0.125, 0.25, 0.375)]
    samples = [Sample(level, torch.full_like(level, 0.25), Cues()) for level in levels]
    (effect,) = measure_parts(network, system, samples, seeds=3)
    assert effect.change == pytest.approx(0.25 * 255)
    assert effect.whole == pytest.approx(0.5)
    assert effect.difference == pytest.approx(-0.25)
    assert effect.error == pytest.approx(0.125 / np.sqrt(3))  # their deviation is an eighth
    assert (effect.worse, effect.samples) == (3, 3)
    (table,) = Mechanisms([effect]).tables()
    assert "| 63.75 |" in table.markdown()
    assert "| -0.250 ± 0.072 | 3 of 3 |" in table.markdown()


def another_is_of(mixed):
    """Which of a kind's samples, where thermal pictures tell the kinds, is another's sum with."""
    network = Sum().eval()
    system = of_sums(
        hold=lambda net, run_other, _: replayed([net.part], run_other), random=True, mixed=mixed
    )
    samples = [
        Sample(torch.full((1, 1, 8, 8), level), torch.zeros(1, 1, 8, 8), Cues(), kind=kind)
        for kind, level in (("haze", 0.25), ("haze", 0.25), ("rain", 0.5), ("rain", 0.5))
    ]
    return measure_parts(network, system, samples, seeds=8)


def test_another_picture_is_one_of_the_same_kind_unless_kinds_mix():
    assert [effect.change for effect in another_is_of(mixed=False)] == [0, 0]
    haze, rain = another_is_of(mixed=True)
    assert 0 < haze.difference < 0.25
    assert -0.25 < rain.difference < 0
    assert (haze.samples, rain.samples) == (2, 2)


def test_one_pair_has_no_other():
    with pytest.raises(UsageError, match="two pairs"):
        measure_parts(create_model("m2pn-edge", 0), m2pn.SYSTEM, [], seeds=1)


def test_one_pair_of_its_kind_has_no_other():
    samples = [Sample(planes(0), planes(1), Cues(), kind=kind) for kind in ("mef", "mff")]
    with pytest.raises(UsageError, match=r"mef: 1 pair"):
        measure_parts(create_model("m2pn-edge", 0), m2pn.SYSTEM, samples, seeds=1)


def test_the_networks_that_ship_have_their_parts():
    for name, system in (
        ("m2pn", m2pn.SYSTEM),
        ("m2pn-edge", m2pn.CELLS_SYSTEM),
        ("m2pn-nano", m2pn.CELLS_SYSTEM),
        ("mdaif", mdaif.SYSTEM),
        ("ctrlfuse", ctrlfuse.SYSTEM),
        ("tcmoa", tcmoa.SYSTEM),
    ):
        assert system_of(create_model(name)) is system
    with pytest.raises(UsageError, match="M2PN, M2PNCells, MdaIF, CtrlFuse, TCMoA"):
        system_of(Sum())


def test_the_bench_is_listed():
    assert load_bench("mechanisms").__name__ == "MechanismsBench"
