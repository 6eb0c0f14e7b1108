"""Every parameter of every model: its edges, its blanks, its contradictions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalogue.models import MODELS, Model
from service.catalogue.validation import check_input, json_schema
from service.errors import InvalidInput

APIXO, TURBO, TEXT, TWO = "kling-2-5-turbo-pro", "kling-2.5-turbo", "kling-text2video", "kling-2"
PICTURE = "https://pictures.example/a.jpg"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8) + b"IEND").decode()
#: The vendor's own sample has this text where an image belongs.
BROKEN_SAMPLE = "toB64('null')"
ALL = (APIXO, TURBO, TEXT, TWO)
LONGEST = "x" * 2500
ABSENT = object()


def each(slugs: tuple[str, ...], field: str, values: tuple[Any, ...], outcome: Any) -> list[Any]:
    """Rows of a table that differ in the given value only."""
    return [(slugs, field, value, outcome) for value in values]


#: (models, field, given, what is sent for it): what each takes.
TAKEN: list[tuple[tuple[str, ...], str, Any, Any]] = [
    (ALL, "prompt", "x", "x"),
    (ALL, "prompt", LONGEST, LONGEST),
    (ALL, "prompt", "Ein Fuchs 🦊 läuft", "Ein Fuchs 🦊 läuft"),
    (ALL, "negative_prompt", LONGEST, LONGEST),
    (ALL, "negative_prompt", "", ABSENT),
    (ALL, "negative_prompt", None, ABSENT),
    *each(ALL, "duration", (5, "5", 5.0), 5),
    *each(ALL, "duration", (10, "10", 10.0), 10),
    *each((APIXO, TEXT, TWO), "duration", (ABSENT, None, ""), 5),
    *each((TURBO,), "duration", (ABSENT, None, ""), 10),
    *[(ALL, "aspect_ratio", ratio, ratio) for ratio in ("16:9", "9:16", "1:1")],
    *each(ALL, "aspect_ratio", (ABSENT, None, ""), "16:9"),
    *[(ALL, "cfg_scale", value, value) for value in (0, 0.0, 0.3, 0.7, 1, 1.0)],
    ((TURBO, TEXT, TWO), "cfg_scale", 0.123, 0.123),
    ((APIXO,), "cfg_scale", ABSENT, ABSENT),
    *each((TURBO,), "cfg_scale", (ABSENT, None, ""), 0.7),
    *each((TEXT, TWO), "cfg_scale", (ABSENT, None, ""), 0.5),
    *each((TURBO,), "mode", ("pro", ABSENT, None, ""), "pro"),
    *each((TEXT,), "mode", ("std", ABSENT, None, ""), "std"),
    ((TEXT,), "mode", "pro", "pro"),
    *each((APIXO,), "mode", ("text-to-video", ABSENT, None), "text-to-video"),
    *[((TURBO,), "image_url", value, value) for value in (PICTURE, PNG)],
    *[((TWO,), "start_image", value, value) for value in (PICTURE, PNG)],
    ((TURBO,), "image_url", f" {PICTURE}\n", PICTURE),
    ((APIXO,), "image_urls", [f"{PICTURE} "], [PICTURE]),
    (
        (TURBO,),
        "image_url",
        "https://ü.example/ü%20.png?ä=1",
        "https://ü.example/%C3%BC%20.png?%C3%A4=1",
    ),
    *each((TURBO,), "image_url", (ABSENT, None, "", 1), ABSENT),
    *each((TURBO,), "tail_image_url", (ABSENT, None, ""), ABSENT),
    *each((TWO,), "start_image", (ABSENT, None, ""), ABSENT),
    *each((APIXO,), "image_urls", (ABSENT, None, []), ABSENT),
    *[
        ((TEXT,), "camera_control_type", value, value)
        for value in ("simple", "down_back", "forward_up", "right_turn_forward")
    ],
    ((TEXT,), "camera_control_type", "left_turn_forward", "left_turn_forward"),
    *each((TEXT,), "camera_control_type", (ABSENT, None, ""), ABSENT),
    *each((TEXT,), "camera_control_config", (ABSENT, None, ""), ABSENT),
    *each((TEXT,), "camera_control_config_value", (ABSENT, None, ""), ABSENT),
]

#: (models, field, given, code): what each refuses.
REFUSED: list[tuple[tuple[str, ...], str, Any, str]] = [
    *each(ALL, "prompt", (ABSENT, None, ""), "required"),
    (ALL, "prompt", " \n\t", "blank"),
    (ALL, "prompt", LONGEST + "x", "too_long"),
    *[(ALL, "prompt", f"a{c}b", "bad_characters") for c in ("\x00", "\ud800", "\udfff")],
    *each(ALL, "prompt", (1, True, 0.5, [], {}, ["x"]), "wrong_type"),
    (ALL, "negative_prompt", LONGEST + "x", "too_long"),
    *each(ALL, "negative_prompt", (1, False, ["x"]), "wrong_type"),
    *each(ALL, "duration", (4, 6, 9, 11, 0, -5, "15", "-5"), "not_allowed"),
    *each(ALL, "duration", (True, False, 5.0000001, 7.5, "5.0"), "wrong_type"),
    *each(ALL, "duration", (" 5", "5s", "٥", "1" * 99, [5], {}), "wrong_type"),
    *each(ALL, "duration", (float("inf"), float("nan")), "wrong_type"),
    (ALL, "duration", 10**400, "not_allowed"),
    *each(ALL, "aspect_ratio", ("16:10", "4:3", " 16:9", "auto"), "not_allowed"),
    *each(ALL, "aspect_ratio", (1, 1.777, ["16:9"], {}, True), "wrong_type"),
    *each(ALL, "cfg_scale", (-0.1, 1.1, -1e-9, 2, 10**400), "out_of_range"),
    *each(ALL, "cfg_scale", (float("inf"), float("-inf")), "out_of_range"),
    *each(ALL, "cfg_scale", ("0.5", True, [], {}, float("nan")), "wrong_type"),
    ((APIXO,), "cfg_scale", 0.55, "not_allowed"),
    *each((TURBO,), "mode", ("std", "Pro", "text-to-video"), "not_allowed"),
    *each((TEXT,), "mode", ("Std", "master"), "not_allowed"),
    *each((APIXO,), "mode", ("std", "pro", "video-to-video"), "not_allowed"),
    *each((APIXO, TURBO, TEXT), "mode", (1, ["pro"], True), "wrong_type"),
    ((TWO,), "mode", "std", "unknown_field"),
    *each((TURBO,), "image_url", (0, 2, 1.0, True, [PICTURE], {}), "wrong_type"),
    *each((TWO,), "start_image", (0, 2, False, [PICTURE], {}), "wrong_type"),
    *[
        ((APIXO,), "image_urls", given, "wrong_type")
        for given in (PICTURE, 1, True, {"0": PICTURE})
    ],
    ((APIXO,), "image_urls", [PICTURE] * 3, "too_many"),
    ((TEXT,), "camera_control_type", "sideways", "not_allowed"),
    *each((TEXT,), "camera_control_type", (1, ["simple"]), "wrong_type"),
    ((APIXO, TURBO, TWO), "camera_control_type", "simple", "unknown_field"),
    ((TEXT, TWO), "image_url", PICTURE, "unknown_field"),
    ((TURBO, TEXT, APIXO), "start_image", PICTURE, "unknown_field"),
    ((TURBO, TEXT, TWO), "image_urls", [PICTURE], "unknown_field"),
    *[(ALL, name, 1, "unknown_field") for name in ("seed", "Prompt", "callback_url", "")],
]


def faults(slug: str, values: dict[str, Any]) -> dict[str, str]:
    """The codes of what is wrong with an input, by pointer."""
    try:
        check_input(MODELS[slug], values)
    except InvalidInput as error:
        return {fault.pointer: fault.code for fault in error.faults}
    return {}


def whole(field: str, value: Any) -> dict[str, Any]:
    """A good input but for one field."""
    values = {"prompt": "A fox", field: value}
    return {name: v for name, v in values.items() if v is not ABSENT}


@pytest.mark.parametrize(("slugs", "field", "value", "expected"), TAKEN)
def test_taken(slugs: tuple[str, ...], field: str, value: Any, expected: Any) -> None:
    """What the documents allow is sent as one type, blanks not at all or as the default."""
    for slug in slugs:
        sent = check_input(MODELS[slug], whole(field, value)).get(field, ABSENT)
        assert (expected, type(expected)) == (sent, type(sent)), slug


@pytest.mark.parametrize(("slugs", "field", "value", "code"), REFUSED)
def test_refused(slugs: tuple[str, ...], field: str, value: Any, code: str) -> None:
    """What lies outside is refused with a pointer at the field and a stable code."""
    for slug in slugs:
        assert {f"/input/{field}": code} == faults(slug, whole(field, value)), slug


NO_IMAGES = [BROKEN_SAMPLE, "fox.jpg", "ftp://x/a.jpg", "http://x/a b.jpg", PICTURE + "\x00"]


@pytest.mark.parametrize("field", ["image_url", "tail_image_url"])
@pytest.mark.parametrize("value", [*NO_IMAGES, PICTURE + "\ud800"])
def test_no_image(field: str, value: str) -> None:
    """What is neither a link nor an image is reported here, not paid for at the provider."""
    found = faults(TURBO, {"prompt": "A fox", "image_url": PICTURE, field: value})

    assert [f"/input/{field}"] == list(found)


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "pan", "tilt", "roll", "zoom"])
@pytest.mark.parametrize("value", [-10, 0, 10])
def test_camera_axes(axis: str, value: int) -> None:
    """Each of the six axes is sent as it was given, with its value from end to end."""
    given_axis = {"camera_control_config": axis, "camera_control_config_value": value}
    given_axis["camera_control_type"] = "simple"
    sent = check_input(MODELS[TEXT], {**given_axis, "prompt": "A fox"})

    assert given_axis == {name: sent[name] for name in given_axis}


@pytest.mark.parametrize("value", range(-10, 11))
def test_camera_value(value: int) -> None:
    """An axis goes with a value from -10 to 10, as number or text, and with no other."""
    axis = {"camera_control_type": "simple", "camera_control_config": "zoom", "prompt": "A fox"}
    for given_value in (value, str(value)):
        sent = check_input(MODELS[TEXT], {**axis, "camera_control_config_value": given_value})
        assert value == sent["camera_control_config_value"]
    for outside in (-11, 11, "11", 1e300):
        found = faults(TEXT, {**axis, "camera_control_config_value": outside})
        assert "out_of_range" == found["/input/camera_control_config_value"]


@pytest.mark.parametrize(
    ("slug", "values", "expected"),
    [
        (TURBO, {"tail_image_url": PICTURE}, {"/input/image_url": "required"}),
        (TEXT, {"camera_control_config": "pan", "camera_control_type": "simple"},
         {"/input/camera_control_config_value": "required"}),
        (TEXT, {"camera_control_config_value": 3, "camera_control_type": "simple"},
         {"/input/camera_control_config": "required"}),
        (TEXT, {"camera_control_config": "pan", "camera_control_config_value": 3},
         {"/input/camera_control_type": "not_allowed"}),
        (APIXO, {"mode": "image-to-video"}, {"/input/image_urls": "required"}),
        (APIXO, {"image_urls": [PICTURE, 7]}, {"/input/image_urls/1": "wrong_type"}),
        (APIXO, {"image_urls": [8, 7]},
         {"/input/image_urls/0": "wrong_type", "/input/image_urls/1": "wrong_type"}),
        (APIXO, {"mode": "text-to-video", "image_urls": [PICTURE]},
         {"/input/image_urls": "not_allowed"}),
        (APIXO, {"aspect_ratio": "1:1", "image_urls": [PICTURE]},
         {"/input/aspect_ratio": "not_allowed"}),
    ],
)  # fmt: skip
def test_relations(slug: str, values: dict[str, Any], expected: dict[str, str]) -> None:
    """What one field demands of another is reported at the other."""
    assert expected == faults(slug, {"prompt": "A fox", **values})


def test_images_tell_the_mode() -> None:
    """APIXO's mode follows from the images, and the frame from the image."""
    sent = check_input(MODELS[APIXO], {"prompt": "A fox", "image_urls": [PICTURE, PNG]})
    assert ("image-to-video", False) == (sent["mode"], "aspect_ratio" in sent)


def test_no_example_is_a_default() -> None:
    """Only a prompt given: no documented sample picture or text is sent."""
    sent = [check_input(model, {"prompt": "A fox"}) for model in MODELS.values()]

    assert ["A fox"] * len(MODELS) == [values["prompt"] for values in sent]
    assert not [v for v in sent if "negative_prompt" in v or "start_image" in v]


def test_all_faults_at_once() -> None:
    """Every wrong field is reported in one answer; a slash or tilde in a name is escaped."""
    wrong = {"duration": 7, "cfg_scale": 2, "mode": 1, "image_url": 0, "a/b~c": 1}
    expected = ["/input/a~1b~0c", "/input/cfg_scale", "/input/duration"]
    expected += ["/input/image_url", "/input/mode", "/input/prompt"]

    assert expected == sorted(faults(TURBO, wrong))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def inputs(model: Model) -> st.SearchStrategy[dict[str, Any]]:
    """Inputs that are often nearly right."""
    fields = {
        p.name: JSON_VALUES | st.sampled_from([*p.choices, "x", PICTURE, PNG, [PICTURE], 0, 1, "5"])
        for p in model.parameters
    }
    return st.fixed_dictionaries({}, optional=fields)


@pytest.mark.parametrize("slug", ALL)
@given(data=st.data())
def test_anything_is_answered(slug: str, data: st.DataObject) -> None:
    """Any JSON is taken or refused as invalid; what was taken is taken again, unchanged."""
    values = data.draw(inputs(MODELS[slug]) | st.dictionaries(st.text(), JSON_VALUES, max_size=3))
    try:
        sent = check_input(MODELS[slug], values)
    except InvalidInput as error:
        assert error.faults
        assert all(fault.pointer.startswith("/input/") for fault in error.faults)
    else:
        assert sent == check_input(MODELS[slug], sent)
        assert sent == json.loads(json.dumps(sent))
        assert isinstance(sent["duration"], int)


def test_expected_seconds() -> None:
    """The vendor's own figure for what is sent by default."""
    assert [45.0, 134.32, 320.06, 317.18] == [
        MODELS[slug].expected(check_input(MODELS[slug], {"prompt": "A fox"})) for slug in ALL
    ]


def allows(schema: dict[str, Any], value: Any) -> bool:
    """Whether a property's schema allows a value; the few words of JSON Schema used here."""
    kinds = {"string": (str,), "array": (list,), "integer": (int,), "number": (int, float)}
    right = isinstance(value, kinds[schema["type"]]) and not isinstance(value, bool)
    if not right or value not in schema.get("enum", [value]):
        return False
    if isinstance(value, (int, float)):
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    longest = schema.get("maxLength", schema.get("maxItems", len(value)))
    return len(value) <= int(longest)


@pytest.mark.parametrize("slug", ALL)
def test_schema_agrees(slug: str) -> None:
    """What the published schema allows is taken, and what it forbids is not, but for blanks."""
    schema = json_schema(MODELS[slug])
    lenient = ("camera_control_config", "camera_control_config_value", "tail_image_url")
    for slugs, field, value, code in REFUSED:
        if slug in slugs and field in schema["properties"] and code not in ("blank", "required"):
            number = isinstance(value, float) and value != value
            step = field == "cfg_scale" and value == 0.55
            text = code == "bad_characters"
            assert number or step or text or not allows(schema["properties"][field], value), field
    for slugs, field, value, sent in TAKEN:
        if slug in slugs and value is sent and value is not ABSENT and field not in lenient:
            assert allows(schema["properties"][field], value), (field, value)
    assert (["prompt"], False) == (schema["required"], schema["additionalProperties"])
    defaults = {n: p["default"] for n, p in schema["properties"].items() if "default" in p}
    assert defaults.items() <= check_input(MODELS[slug], {"prompt": "A fox"}).items()


@pytest.mark.parametrize(
    ("slug", "values", "price"),
    [
        (APIXO, {}, (None, None)),
        (TURBO, {}, (0.88, 0.88)),
        (TURBO, {"duration": "5"}, (0.44, 0.44)),
        (TEXT, {}, (0.28, 0.28)),
        (TEXT, {"mode": "pro", "duration": 10}, (1.96, 1.96)),
        (TEXT, {"mode": "pro"}, (0.28, 1.96)),
        (TWO, {}, (1.75, 1.75)),
        (TWO, {"duration": 10}, (3.50, 3.50)),
    ],
)
def test_prices(slug: str, values: dict[str, Any], price: tuple[float | None, ...]) -> None:
    """Ends that the vendors state are exact, the middle is a range, an unstated price is None."""
    sent = check_input(MODELS[slug], {"prompt": "A fox", **values})
    assert price == MODELS[slug].price_range(sent)
