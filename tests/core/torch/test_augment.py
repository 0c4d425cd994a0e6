import pytest

torch = pytest.importorskip("torch")

from morphml_core.torch.augment import POLICIES, Draws, augment, draw, reach

IMAGES = torch.arange(1, 2 * 3 * 8 * 8 + 1).reshape(2, 3, 8, 8)


def generator():
    return torch.Generator().manual_seed(0)


def test_a_shift_moves_zeros_in():
    moved = augment(IMAGES, Draws(shift=torch.tensor([[1, 0], [0, -1]])))
    assert torch.equal(moved[0, :, :-1], IMAGES[0, :, 1:])
    assert not moved[0, :, -1].any()
    assert torch.equal(moved[1, :, :, 1:], IMAGES[1, :, :, :-1])
    assert not moved[1, :, :, 0].any()


def test_a_flip_reads_the_columns_backwards():
    moved = augment(IMAGES, Draws(flip=torch.tensor([1, 0])))
    assert torch.equal(moved[0], IMAGES[0].flip(-1))
    assert torch.equal(moved[1], IMAGES[1])


def test_a_hole_is_a_square_of_half_the_side():
    moved = augment(IMAGES, Draws(hole=torch.tensor([[4, 4], [0, 0]])))
    assert (moved[0] == 0).sum() == 3 * 16
    assert not moved[0, :, 2:6, 2:6].any()
    assert (moved[1] == 0).sum() == 3 * 4


@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_every_policy_keeps_shape_and_type(policy, kind):
    images = IMAGES.to(kind)
    draws = draw(policy, (3, 8, 8), 5, 2, generator())
    one = Draws(*(None if t is None else t[3] for t in (draws.shift, draws.flip, draws.hole)))
    changed = augment(images, one)
    assert changed.shape == images.shape
    assert changed.dtype == kind
    assert policy != "none" or changed is images


def test_draws_repeat_with_the_seed_and_stay_in_reach():
    first, second = (draw("flip_crop_cutout", (1, 28, 28), 50, 8, generator()) for _ in range(2))
    assert reach((1, 28, 28)) == 3
    assert torch.equal(first.shift, second.shift)
    assert (first.shift.min(), first.shift.max()) == (-3, 3)
    assert sorted(first.flip.unique().tolist()) == [0, 1]
    assert (first.hole.min(), first.hole.max()) == (0, 27)
