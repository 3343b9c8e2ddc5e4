"""Files that want to run code, to fill the memory, to take for ever, or that are simply broken.

`CASES` names each with a function that writes it and words of the refusal.
"""

import argparse
import gzip
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass

import torch
from hostile_writers import (
    Evaluates,
    Executes,
    HalfBuilt,
    Nested,
    NestedTwice,
    Runs,
    Write,
    archive,
    by_memo,
    circle,
    claims,
    cyclic,
    cyclic_network,
    deep,
    duplicate,
    encoder_options,
    entry,
    extension,
    half_native,
    instance,
    list_of_storages,
    many_views,
    native,
    native_header,
    nvidia,
    object_class,
    objects_in_tensorflow,
    overlapping,
    pickled,
    process,
    program,
    program_in_tensorflow,
    protocol_0,
    raw,
    rosinality,
    safetensors,
    stream_of_many,
    system_information,
    twin_networks,
    zipped,
)


@dataclass(frozen=True)
class Case:
    """How a file is written, and what its refusal says."""

    write: Write
    words: str


# Multiples of 2^61 - 1 all have the hash 0.
COLLIDING = b"".join(
    b"\x8a\x0a" + (index * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for index in range(1, 99)
)
HARMLESS = "not among the few harmless names"

CASES: dict[str, Case] = {
    # Code, by every opcode that reaches a name
    "system, protocol 2": Case(pickled(Runs, 2), "posix.system"),
    "system, protocol 4": Case(pickled(Runs), "posix.system"),
    "system, protocol 5": Case(pickled(Runs, 5), "posix.system"),
    "system, protocol 0": Case(protocol_0, "not a generator file"),
    "eval": Case(pickled(Evaluates), "builtins.eval"),
    "exec": Case(pickled(Executes, 2), "exec"),
    "a process by NEWOBJ": Case(process, "subprocess.Popen"),
    "INST": Case(instance, "opcode b'S'"),
    "INST without text": Case(raw(b"\x80\x02(iposix\nsystem\n."), "opcode b'i'"),
    "OBJ": Case(object_class, "posix.system"),
    "OBJ of an allowed name": Case(raw(b"\x80\x02(ccollections\nOrderedDict\no."), "opcode b'o'"),
    "EXT1": Case(extension(b"\x82\x01"), "opcode"),
    "EXT2": Case(extension(b"\x83\x01\x01"), "opcode"),
    "EXT4": Case(extension(b"\x84\x01\x01\x01\x01"), "opcode"),
    "NEWOBJ_EX": Case(raw(b"\x80\x04cargparse\nNamespace\n)}\x92."), "opcode"),
    "names out of the memo": Case(by_memo, "posix.system"),
    "a dotted name": Case(
        raw(b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."), HARMLESS
    ),
    "torch's own loader": Case(raw(b"\x80\x02ctorch.serialization\nload\n."), HARMLESS),
    "an import": Case(raw(b"\x80\x02cimportlib\nimport_module\n."), HARMLESS),
    "a line in a name": Case(raw(b"\x80\x04\x8c\x03o\ns\x8c\x06system\x93."), HARMLESS),
    "inside an allowed dictionary": Case(pickled(HalfBuilt), "builtins.eval"),
    # Code beside or inside a whole generator
    "beside a generator, zip": Case(rosinality(Runs), "posix.system"),
    "beside a generator, stream": Case(rosinality(Runs, legacy=True), "posix.system"),
    "in train.py's options": Case(
        rosinality(lambda command: argparse.Namespace(lr=Evaluates(command))), "builtin"
    ),
    "in an encoder's options": Case(encoder_options, "posix.system"),
    "as NVIDIA's discriminator": Case(nvidia(D=Runs), "posix.system"),
    "as a data set": Case(nvidia(training_set_kwargs=Evaluates), "builtins.eval"),
    "a nested storage": Case(nvidia(D=Nested), "posix.system"),
    "a storage nested twice": Case(nvidia(D=NestedTwice), "inside a torch file"),
    "a storage nested in a zip": Case(rosinality(Nested), "inside a torch file"),
    "in TensorFlow's discriminator": Case(program_in_tensorflow, "posix.system"),
    "in an array of objects": Case(objects_in_tensorflow, "posix.system"),
    "in a stream's list": Case(list_of_storages, "posix.system"),
    "in a stream's system": Case(system_information, "posix.system"),
    # More than there is
    "bytes that are not there": Case(raw(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x3f."), "damaged or"),
    "text that is not there": Case(raw(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x3f."), "damaged or"),
    "a byte array": Case(raw(b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"."), "damaged or"),
    "a frame": Case(raw(b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"}."), "a frame of"),
    "the memo's last place": Case(raw(b"\x80\x02]r\xff\xff\xff\xff."), "it holds a list"),
    "a negative length": Case(raw(b"\x80\x02T\xff\xff\xff\xff."), "damaged"),
    "a very long number": Case(
        raw(b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + bytes(1 << 20) + b"."), "whole number"
    ),
    "2^40 elements": Case(claims((1 << 40,), (1,), 4), "reaches to element"),
    "2^40 elements of one": Case(claims((1 << 40,), (0,), 4), "it claims tensors of"),
    "2^40 elements in storage": Case(claims((1 << 40,), (1,), 1 << 40), "should be"),
    "2^200 elements": Case(claims((1 << 20,) * 10, (0,) * 10, 4), "do not fit"),
    "behind the storage": Case(claims((2,), (1,), 4, offset=3), "reaches to element 5"),
    "before the storage": Case(claims((2,), (1,), 4, offset=-2), "whole numbers"),
    "a negative shape": Case(claims((-1, -4), (1, 1), 4), "whole numbers"),
    "2^40 elements in a stream": Case(stream_of_many, "damaged"),
    "a thousand views": Case(many_views, "it claims tensors of"),
    "two million lists": Case(raw(b"\x80\x02" + b"]" * 2_000_000 + b"."), "more work"),
    "a million marks": Case(raw(b"\x80\x02" + b"(" * 900_000 + b"."), "damaged"),
    "numbers that collide": Case(raw(b"\x80\x02}(" + COLLIDING + b"u."), "dictionary's key"),
    "keys that take for ever": Case(raw(b"\x80\x02})" + b"2\x86" * 60 + b"Ns."), "key"),
    "sets of sets": Case(raw(b"\x80\x04\x8f(" + b"\x8f" * 1000 + b"\x90."), "it holds a"),
    "cycles": Case(cyclic, "contains itself"),
    "a cyclic network": Case(cyclic_network, "contains itself"),
    "twin networks": Case(twin_networks, "more parts"),
    "deep": Case(deep, "deep"),
    # Zip files
    "system in a zip": Case(
        lambda path, command: zipped(pickle.dumps(Runs(command), 2))(path, command), "posix.system"
    ),
    "a zip bomb": Case(
        zipped(b"\x80\x02}.", ("archive/data/0", bytes(50_000_000)), method=zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a bomb of one's own": Case(overlapping, "members claim"),
    "a way out": Case(zipped(b"\x80\x02}.", ("archive/../../x", b"x")), "leads elsewhere"),
    "an absolute name": Case(zipped(b"\x80\x02}.", ("/etc/x", b"x")), "leads elsewhere"),
    "a Windows name": Case(zipped(b"\x80\x02}.", ("C:\\x", b"x")), "leads elsewhere"),
    "two of one name": Case(duplicate, "the zip file"),
    "a zip of pictures": Case(zipped(b"\x80\x02}.", ("b/data.pkl", b"x")), "data.pkl"),
    "a TorchScript program": Case(program, "TorchScript"),
    "the end of a zip alone": Case(raw(b"PK\3\4" + b"PK\5\6" + b"\xff" * 18), "zip file"),
    # Other files
    "empty": Case(raw(b""), "empty"),
    "a folder": Case(lambda path, _: path.mkdir(), "a directory"),
    "a circle of links": Case(circle, "circle"),
    "a pipe": Case(lambda path, _: os.mkfifo(path), "a pipe or a device"),
    "text": Case(raw(b"weights\n"), "not a generator file"),
    "a web page": Case(raw(b"<!DOCTYPE html><html>quota exceeded</html>"), "web page"),
    "a Git LFS pointer": Case(raw(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "gzip": Case(raw(gzip.compress(b"x")), "compressed"),
    "tar": Case(archive, "tar archive"),
    "wrong magic": Case(raw(b"\x93NUMPY" + bytes(90)), "not a generator file"),
    "a pickle of nothing": Case(raw(b"\x80\x04N."), "it holds a NoneType"),
    "half a pickle": Case(raw(b"\x80\x04}"), "damaged or cut"),
    "a pickle of the future": Case(raw(b"\x80\x05\x80\x09."), "protocol 9"),
    # safetensors
    "overlapping": Case(
        safetensors({"a": entry(0, 64, [16]), "b": entry(32, 64, [8])}), "safetensors"
    ),
    "behind the end": Case(safetensors({"a": entry(0, 1 << 40, [1 << 38])}), "safetensors"),
    "a shape that is not there": Case(safetensors({"a": entry(0, 64, [1 << 38])}), "safetensors"),
    "a shape beyond numbers": Case(
        safetensors({"a": entry(0, 64, [1 << 40, 1 << 40])}), "safetensors"
    ),
    "gaps": Case(safetensors({"a": entry(32, 64, [8])}), "safetensors"),
    "an unknown type": Case(safetensors({"a": entry(0, 64, [16], "F99")}), "safetensors"),
    "a header that is not there": Case(
        raw(struct.pack("<Q", 1 << 40) + b"{"), "not a generator file"
    ),
    "a header that is no JSON": Case(safetensors(b"{" + b"[" * 100_000), "safetensors"),
    "a deep header": Case(native_header("[" * 100_000), "damaged"),
    "a header of a list": Case(native_header("[]"), "not a JSON object"),
    "a header of nothing": Case(half_native, "has no 'format'"),
    "a header of many layers": Case(native(mapping_layers=10**9), "larger than the file"),
    "a header of wide layers": Case(native(channels=[1 << 62, 2]), "larger than the file"),
    "a header of fractions": Case(native(style_width=4.5), "whole numbers"),
    "a header of much text": Case(native(**{"x" * 100_000: 1}), "a generator config has"),
    "letters that a terminal obeys": Case(
        lambda path, _: torch.save({"input.input": torch.zeros(1), "\n": torch.zeros(1)}, path),
        "is named",
    ),
    "tensors are missing": Case(native(mapping_layers=1), "is missing"),
}
