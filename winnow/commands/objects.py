"""What dvc.lock wants of a cache or a remote, and whether it is there: absent, of another size, or of other bytes.

A remote's listing gives sizes, and for many servers an ETag. An ETag that equals the MD5 vouches for the bytes only
where the size agrees: some servers keep the old ETag of an object that they stored again in part. Any other ETag, of
an encrypted object or one sent in parts, says nothing.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.tree import Tree

from winnow.pipeline.messages import UserError

Wanted = dict[str, str]  # by path, the name of its object: its MD5, with .dir behind it for the list of a folder


ABSENT = "is not there"


DAMAGED = "is damaged there"


MOST_UNREADABLE = 3  # objects; a remote that fails more reads has another trouble, and each failure may take minutes


def outputs(repo: Repo, targets: Sequence[str]) -> Wanted:
    """What dvc.lock records for the targets: files, and the lists of folders; not what is never pushed (`push: false`).

    Raises:
        UserError: it records nothing for them.
    """
    outs = [out for out in repo.index.targets_view(list(targets) or None).outs if out.can_push]
    recorded = {os.path.relpath(out.fs_path): out.hash_info.value for out in outs if out.use_cache and out.hash_info}
    if not recorded:
        raise UserError("no output of these targets was made yet; `make run` makes them")
    return recorded


def members(cache: Any, oid: str) -> Wanted:
    """By path inside a folder its file's object, from the list in the cache."""
    tree = Tree.load(cache, cache.get(oid).hash_info)
    return {os.path.join(*parts): info.value for parts, _, info in tree}


def files(cache: Any, wanted: Wanted) -> Wanted:
    """The files of outputs whose lists are in the cache."""
    found: Wanted = {}
    for path, oid in wanted.items():
        if oid.endswith(".dir"):
            found |= {os.path.join(path, inside): member for inside, member in members(cache, oid).items()}
        else:
            found[path] = oid
    return found


def whole(cache: Any, oid: str) -> bool:
    """Whether an object in the cache has its checksum; read each time, since damage does not show otherwise."""
    path = cache.oid_to_path(oid)
    return bool(cache.fs.exists(path)) and file_md5(path, cache.fs) == _md5(oid)


def local_sizes(cache: Any, oids: Iterable[str]) -> dict[str, int]:
    """The sizes of those objects that are in the cache."""
    paths = {oid: cache.oid_to_path(oid) for oid in oids}
    return {oid: os.path.getsize(path) for oid, path in paths.items() if os.path.isfile(path)}


def remote_faults(
    store: Any,
    oids: Collection[str],
    sizes: Mapping[str, int],
    *,
    read_back: Callable[[str, Mapping[str, Any]], bool],
    note: Callable[[str], object] = lambda oid: None,
) -> dict[str, str]:
    """What is wrong with objects on a remote, by object; the sound ones are not in it.

    Args:
        store: the remote's objects.
        oids: those that are wanted.
        sizes: in bytes, as far as they are known.
        read_back: whether to read an object whose size is right, from its name and its entry in the listing.
        note: called after each object.

    Raises:
        UserError: so many objects cannot be read back that the remote is at fault.
    """
    listed = _listing(store)
    found: dict[str, str] = {}
    unreadable = 0
    for oid in sorted(oids):
        entry = listed.get(store.oid_to_path(oid))
        try:
            fault = _size_fault(store, oid, entry, sizes) or (
                _read_fault(store, oid) if read_back(oid, entry or {}) else ""
            )
        except Exception as error:  # each kind of remote has its own errors
            unreadable += 1
            if unreadable > MOST_UNREADABLE:
                raise UserError(f"the remote fails when objects are read back; its error: {sentence(error)}") from None
            fault = f"cannot be read back ({sentence(error)})"
        if fault:
            found[oid] = fault
        note(oid)
    return found


def _size_fault(store: Any, oid: str, entry: Mapping[str, Any] | None, sizes: Mapping[str, int]) -> str:
    """What the listing shows to be wrong with an object; empty where it shows nothing."""
    if entry is None:
        return ABSENT
    size = entry["size"] if "size" in entry else store.fs.size(store.oid_to_path(oid))
    return "" if sizes.get(oid, size) == size else f"has {size:,} bytes there instead of {sizes[oid]:,}"


def vouched(oid: str, entry: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """Whether a listing's entry shows the right bytes: its ETag is the MD5, and its size was compared."""
    return oid in sizes and entry.get("size") == sizes[oid] and entry.get("ETag", "").strip('"') == _md5(oid)


def sentence(error: BaseException) -> str:
    """A remote's error on one line."""
    return f"failed: {' '.join(str(error).split()) or type(error).__name__}"


def _listing(store: Any) -> Mapping[str, Mapping[str, Any]]:
    """By path what the remote says of its objects, asked for now."""
    store.fs.fs.invalidate_cache()
    try:
        listed = store.fs.fs.find(store.path, detail=True)
    except FileNotFoundError:  # nothing was pushed yet
        return {}
    return listed if isinstance(listed, Mapping) else {name: {} for name in listed}  # of a folder: names


def _read_fault(store: Any, oid: str) -> str:
    """What reading an object back shows to be wrong with it; empty for a sound one."""
    try:
        return "" if file_md5(store.oid_to_path(oid), store.fs) == _md5(oid) else DAMAGED
    except FileNotFoundError:  # listed, but gone
        return ABSENT


def _md5(oid: str) -> str:
    return oid.removesuffix(".dir")
