import pytest

from medkd.networks import weighted_features

FEATURES = {"encoder": "down_1", "decoder": "upcat_1"}


def test_keeps_the_order_and_what_has_a_weight():
    weights = {"decoder": 0.2, "encoder": 0.1}
    assert list(weighted_features(FEATURES, weights).items()) == list(FEATURES.items())
    assert weighted_features(FEATURES, {"encoder": 0.0, "decoder": 0.2}) == {"decoder": "upcat_1"}
    assert weighted_features(FEATURES, {}) == {}


def test_of_several_teachers_each():
    other = {"encoder": "model.0", "decoder": "model.2"}
    found = weighted_features([FEATURES, other], {"encoder": 1})
    assert found == [{"encoder": "down_1"}, {"encoder": "model.0"}]


def test_rejects_a_weight_of_no_feature():
    match = r"of the features \['decoder', 'encoder'\], but got one of 'bottleneck'"
    with pytest.raises(ValueError, match=match):
        weighted_features(FEATURES, {"bottleneck": 0.1})
