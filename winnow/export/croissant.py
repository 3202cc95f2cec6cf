"""The export's croissant.json: metadata for programs in the Croissant format 1.0 (JSON-LD).

Source: MLCommons, Croissant Format Specification 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html).
The images are a set of files; a record joins each with its row of manifest.parquet. What only a publisher knows (url,
creator, datePublished, citeAs, version) is not there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from winnow.export.dataset_card import SPLITS, limits, summary
from winnow.export.facts import Facts
from winnow.export.names import SUFFIXES, suffix_of

VERSION = "http://mlcommons.org/croissant/1.0"
CORRECTIONS, MANIFEST, IMAGES = "corrections.csv", "manifest.parquet", "image-files"
FORMATS = {CORRECTIONS: "text/csv", MANIFEST: "application/x-parquet"}

# The specification's own context, which every Croissant file repeats.
TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format"),
    *("includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS},
}

# By format the media type; those that readers of Croissant take for any image come first.
MEDIA: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "DIB": "image/bmp",
    "PPM": "image/x-portable-anymap",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
    "ICO": "image/vnd.microsoft.icon",
    "TIFF": "image/tiff",
}

FIELDS: Mapping[str, tuple[str | list[str], str]] = {  # column of the manifest: type, meaning
    "id": ("sc:Text", "16 hex digits, the same in every version of the dataset"),
    "split": (["sc:Text", "cr:Split"], "train or val"),
    "label": (["sc:Text", "cr:Label"], "class"),
    "given_label": ("sc:Text", "class as delivered"),
    "label_quality": ("sc:Float", "of the label, in [0, 1], lower is worse; null where it was not measured"),
    "action": ("sc:Text", "of the last verdict on the image: keep or relabel; null where there was none"),
    "reason": ("sc:Text", "of that verdict"),
    "sha256": ("sc:Text", "of the image's file"),
}


def croissant(facts: Facts, files: Iterable[str], tables: Mapping[str, tuple[int, str]]) -> bytes:
    """croissant.json as UTF-8; equal arguments give equal bytes.

    Args:
        facts: of the export.
        files: its images, paths from its root.
        tables: of corrections.csv and manifest.parquet the size in bytes and the SHA-256, hex.
    """
    metadata = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": facts.title,
        "description": " ".join([summary(facts), *limits(facts)]),
        "license": facts.license,
        "distribution": [*(_file_object(name, *tables[name]) for name in FORMATS), _file_set(files)],
        "recordSet": [
            _names("splits", "cr:Split", list(SPLITS.values())),
            _names("classes", "sc:Enumeration", facts.classes),
            _records(),
        ],
    }
    return (json.dumps(metadata, indent=2, ensure_ascii=False) + "\n").encode()


def _file_object(name: str, size: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": FORMATS[name],
        "sha256": sha256,
    }


def _file_set(files: Iterable[str]) -> dict[str, Any]:
    suffixes = set(map(suffix_of, files))
    kinds = [MEDIA[kind] for kind in MEDIA if suffixes & set(SUFFIXES[kind])]
    return {
        "@type": "cr:FileSet",
        "@id": IMAGES,
        "name": IMAGES,
        "description": "Every image, in <split>/<folder of the class>/.",
        "encodingFormat": list(dict.fromkeys(kinds)),
        "includes": [f"{split}/*" for split in SPLITS.values()],  # a star of this format also stands for slashes
    }


def _names(identifier: str, kind: str, names: Sequence[str]) -> dict[str, Any]:
    """A set of records that lists names."""
    field = f"{identifier}/name"
    return {
        "@type": "cr:RecordSet",
        "@id": identifier,
        "name": identifier,
        "dataType": kind,
        "key": {"@id": field},
        "field": [{"@type": "cr:Field", "@id": field, "name": "name", "dataType": "sc:Text"}],
        "data": [{field: name} for name in names],
    }


def _records() -> dict[str, Any]:
    """One record an image: its file joined with its row of the manifest."""
    path = {"fileSet": {"@id": IMAGES}, "extract": {"fileProperty": "fullpath"}, "transform": {"regex": "(.*)"}}
    content = {"fileSet": {"@id": IMAGES}, "extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": "One record an image.",
        "key": {"@id": "images/file"},
        "field": [
            _field("file", "sc:Text", "path of the image's file in this folder", path, references=_column("file")),
            _field("image", "sc:ImageObject", "the image", content),
            *(_field(name, kind, about, _column(name)) for name, (kind, about) in FIELDS.items()),
        ],
    }


def _field(name: str, kind: str | list[str], about: str, source: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    described = {"@type": "cr:Field", "@id": f"images/{name}", "name": name, "description": about, "dataType": kind}
    return {**described, "source": source, **more}


def _column(name: str) -> dict[str, Any]:
    return {"fileObject": {"@id": MANIFEST}, "extract": {"column": name}}
