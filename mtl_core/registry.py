"""The shelves: where variants (datasets, architectures, weightings …) are named, described and found.

A shelf is a folder, a variant is one file on it. A file registers its class with the shelf's decorator; its name on disk, in
configs and on the command line is the file's name. Knobs are declared once, as fields of the class's ``Knobs``; the check, the
widget, the command line, the JSON and the docs follow from that declaration.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, ClassVar, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo


class Knobs(BaseModel):
    """The settings of one variant. Unknown names are refused, NaN and infinity too.

    >>> from pydantic import Field
    >>> class Example(Knobs):
    ...     c: float = Field(0.4, ge=0, lt=1, title="Radius c", description="How far the step may leave the mean.")
    >>> describe_knobs(Example)[0]["maximum"], describe_knobs(Example)[0]["default"]
    (1.0, 0.4)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Variant:
    """What every thing on a shelf has: a title and knobs. Its first docstring line is its plain-words summary."""

    title: ClassVar[str]
    Knobs: ClassVar[type[Knobs]] = Knobs

    @classmethod
    def variant_name(cls) -> str:
        """The name in configs: that of the file which holds the class."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """Everything a person may want to know before choosing it, as JSON-ready values."""
        doc = inspect.getdoc(cls) or ""
        return {
            "name": cls.variant_name(),
            "title": cls.title,
            "summary": doc.partition("\n")[0],
            "doc": doc,
            "knobs": describe_knobs(cls.Knobs),
        }


V = TypeVar("V", bound=Variant)


class Shelf(Generic[V]):
    """A folder of variants of one kind.

    Args:
        noun: what one of them is called in an error ("weighting").
        package: the dotted name of the folder; its files are imported on first use, each once.
    """

    def __init__(self, noun: str, package: str) -> None:
        self.noun = noun
        self.package = package
        self._variants: dict[str, type[V]] = {}
        self._is_loaded = False

    def register(self, variant: type[V]) -> type[V]:
        """Class decorator: put the class on the shelf under its file's name."""
        name = variant.variant_name()
        before = self._variants.get(name)
        if before is not None and before.__qualname__ != variant.__qualname__:
            raise RuntimeError(f"two {self.noun}s in {name}.py: {before.__qualname__} and {variant.__qualname__}")
        self._variants[name] = variant
        return variant

    def names(self) -> list[str]:
        """All names, in alphabetical order."""
        self._load()
        return sorted(self._variants)

    def __iter__(self) -> Iterator[type[V]]:
        return iter([self._variants[name] for name in self.names()])

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._variants

    def __getitem__(self, name: str) -> type[V]:
        """The class of that name. Raises ValueError, with the nearest name, if there is none."""
        self._load()
        if name not in self._variants:
            raise ValueError(no_such(self.noun, name, self.names()))
        return self._variants[name]

    def parse(self, choice: Mapping[str, Any]) -> tuple[type[V], Any]:
        """Read ``{"name": …, knob: value}`` into the class and its checked knobs. Raises ValueError with a remedy."""
        knobs = dict(choice)
        name = knobs.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"a {self.noun} needs a name; there are: {', '.join(self.names())}")
        variant = self[name]
        return variant, parse_knobs(variant.Knobs, knobs, f"{self.noun} {name}")

    def _load(self) -> None:
        if self._is_loaded:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.ispkg or module.name.startswith("_"):
                continue
            full_name = f"{self.package}.{module.name}"
            try:
                importlib.import_module(full_name)
            except ImportError as error:
                raise RuntimeError(f"{full_name} does not load: {error}") from error
            if module.name not in self._variants:
                raise RuntimeError(f"{full_name} registers no {self.noun}: decorate its class with the shelf's register")
        self._is_loaded = True


def parse_knobs(model: type[Knobs], values: Mapping[str, Any], owner: str) -> Any:
    """Check values against declared knobs; ValueError in one sentence per slip, each with its remedy."""
    unknown = [key for key in values if key not in model.model_fields]
    if unknown:
        raise ValueError("; ".join(no_such(f"knob of {owner}", key, list(model.model_fields)) for key in unknown))
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(explain(error, owner)) from None


def explain(error: ValidationError, owner: str) -> str:
    """Pydantic's findings as sentences: thing, value, remedy."""
    found: dict[tuple[str, str], list[str]] = {}
    for slip in error.errors(include_url=False):
        # for a knob that may be of several types, pydantic adds each type to the place: constrained-int, literal['auto']
        place = ".".join(str(part) for part in slip["loc"] if str(part).isidentifier() or isinstance(part, int))
        place = place.removesuffix(".int").removesuffix(".float")
        message = slip["msg"].removeprefix("Value error, ")
        value = repr(slip["input"])
        shown = value if len(value) <= 60 else value[:57] + "…"
        found.setdefault((place, shown), []).append(message[:1].lower() + message[1:])
    return "; ".join(
        f"{f'{owner}: {place}' if place else owner}: {' or '.join(messages)} (got {shown})"
        for (place, shown), messages in found.items()
    )


def no_such(noun: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a wrong name, with the nearest right one.

    >>> no_such("weighting", "pcgard", ["equal", "pcgrad"])
    "no weighting is called 'pcgard'. Did you mean 'pcgrad'?"
    """
    names = list(known)
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    shown = str(name) if len(str(name)) <= 60 else str(name)[:57] + "…"
    remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names) or 'none'}."
    return f"no {noun} is called {shown!r}. {remedy}"


def without_defaults(model: type[Knobs], values: Mapping[str, Any]) -> dict[str, Any]:
    """Only the knobs that were turned: links and YAML stay short."""
    usual = {knob["name"]: knob["default"] for knob in describe_knobs(model)}
    return {name: value for name, value in values.items() if value != usual.get(name)}


def describe_knobs(model: type[Knobs]) -> list[dict[str, Any]]:
    """Each knob as ``{name, type, title, help, default, minimum, maximum, exclusive_minimum, exclusive_maximum, choices}``.

    ``type`` is one of int, float, bool, str, list; ``choices`` is a list for a Literal, else None; ``words`` are those that may
    stand for a number ("auto"); a knob that may be left empty has ``optional`` true.
    """
    return [_describe_knob(name, field) for name, field in model.model_fields.items()]


def _describe_knob(name: str, field: FieldInfo) -> dict[str, Any]:
    annotation: Any = field.annotation
    is_union = get_origin(annotation) in (Union, UnionType)
    kinds: list[Any] = list(get_args(annotation)) if is_union else [annotation]
    optional = type(None) in kinds
    kinds = sorted((kind for kind in kinds if kind is not type(None)), key=_is_literal)
    words = list(get_args(kinds[1])) if len(kinds) > 1 else []  # int | Literal["auto"]
    annotation = kinds[0]
    choices = list(get_args(annotation)) if _is_literal(annotation) else None
    kind = "str" if choices else (get_origin(annotation) or annotation)
    described: dict[str, Any] = {
        "name": name,
        "type": kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind)),
        "title": field.title or name.replace("_", " "),
        "help": field.description or "",
        "default": field.get_default(call_default_factory=True),
        "optional": optional,
        "choices": choices,
        "words": words,
        "minimum": None,
        "maximum": None,
        "exclusive_minimum": False,
        "exclusive_maximum": False,
    }
    for rule in field.metadata:
        for attribute, key in (("ge", "minimum"), ("gt", "minimum"), ("le", "maximum"), ("lt", "maximum")):
            bound = getattr(rule, attribute, None)
            if bound is not None:
                described[key] = float(bound) if described["type"] == "float" else bound
                described[f"exclusive_{key}"] = attribute in ("gt", "lt")
    return described


def _is_literal(annotation: Any) -> bool:
    return get_origin(annotation) is Literal
