import pytest

from medkd.networks import weighted_features

FEATURES = {"encoder": "down_1", "decoder": "upcat_1"}


def test_keeps_the_order_and_what_has_a_weight():
    weights = {"decoder": 0.2, "encoder": 0.1}
    assert list(weighted_features(FEATURES, weights).items()) == list(FEATURES.items())
    assert weighted_features(FEATURES, {"encoder": 0.0, "decoder": 0.2}) == {"decoder": "upcat_1"}
    assert weighted_features(FEATURES, dict.fromkeys(FEATURES, 0)) == {}


def test_of_several_teachers_each():
    other = {"encoder": "model.0", "decoder": "model.2"}
    found = weighted_features([FEATURES, other], {"encoder": 1, "decoder": 0})
    assert found == [{"encoder": "down_1"}, {"encoder": "model.0"}]


@pytest.mark.parametrize("weights", [{"bottleneck": 0.1}, {"encoder": 0.1}])
def test_rejects_weights_of_other_names(weights):
    """A feature that was forgotten among the weights would be left out in silence."""
    match = rf"of the features \['decoder', 'encoder'\], but got those of \{sorted(weights)}"
    with pytest.raises(ValueError, match=match[:-1]):
        weighted_features(FEATURES, weights)
