"""Files that the reader of generator files refuses, each with words of the refusal.

All of them are small, and harmless to any reader. A limit is tested by lowering it.
"""

import argparse
import gzip
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from called import Asks, Seen, seen
from refused_writers import (
    NOTHING,
    HalfBuilt,
    Nested,
    Write,
    archive,
    circle,
    claims,
    described,
    entry,
    large,
    native,
    native_header,
    nvidia,
    objects,
    ops,
    overlapping,
    patched,
    persistent,
    pickled,
    psp,
    raw,
    rosinality,
    safetensors,
    stream,
    stream_of_more,
    stream_with,
    tensorflow,
    tf_network,
    twins,
    views,
    zipped,
)

from invprob.priors.checkpoints.limits import USUAL, Limits


@dataclass(frozen=True)
class Case:
    """How a file is written, what its refusal says, and limits that it exceeds."""

    write: Write
    words: str
    limits: Limits = USUAL


def _long(count: int) -> bytes:
    return struct.pack("<Q", count)


HARMLESS = "not among the few harmless names"
ALLOWED = b"ccollections\nOrderedDict\n"

# A pickle can name any function or class, which the usual reader imports and calls. The reader here
# knows a table of names. Whatever opcode reaches another name, it must stop there.
NAMES: dict[str, Case] = {
    "a call, protocol 2": Case(pickled(Asks(), 2), "called.seen"),
    "a call, protocol 4": Case(pickled(Asks()), "called.seen"),
    "a call, protocol 5": Case(pickled(Asks(), 5), "called.seen"),
    "a call, protocol 0": Case(pickled(Asks(), 0), "not a generator file"),
    "a name alone": Case(pickled(seen), HARMLESS),
    "a name with a point": Case(pickled(Seen.Inner), "called.Seen.Inner"),
    "a name with a line end": Case(ops("ca\nlled", "seen", b"\x93"), HARMLESS),
    "a name that is not text": Case(ops(b"NN\x93"), "a name that is not text"),
    "a name without an end": Case(raw(b"\x80\x02ccollections"), "a name without an end"),
    "an object": Case(pickled(object.__new__(Seen)), "called.Seen"),
    "another class of a known module": Case(pickled([OrderedDict, Counter]), "collections.Counter"),
    "a whole module of torch": Case(pickled(torch.nn.Linear(1, 1)), "torch.nn.modules.linear"),
    "INST": Case(ops(b"(icalled\nSeen\n"), "opcode b'i'"),
    "INST with text": Case(ops(b"(S'word'\nicalled\nseen\n"), "opcode b'S'"),
    "OBJ": Case(ops(b"(ccalled\nSeen\no"), "called.Seen"),
    "OBJ of an allowed name": Case(ops(b"(", ALLOWED, b"o"), "opcode b'o'"),
    "EXT1": Case(ops(b"\x82\x01"), "opcode"),
    "EXT2": Case(ops(b"\x83\x01\x01"), "opcode"),
    "EXT4": Case(ops(b"\x84\x01\x01\x01\x01"), "opcode"),
    "NEWOBJ_EX": Case(ops(b"cargparse\nNamespace\n)}\x92"), "opcode"),
    "a storage is called": Case(ops(b"ctorch\nFloatStorage\n)R"), "cannot be called"),
    "a list is called": Case(ops(b"])R"), "cannot be called"),
    "a call without arguments": Case(ops(ALLOWED, b"]R"), "a call without arguments"),
    "inside an allowed dictionary": Case(pickled(HalfBuilt()), "called.seen"),
    "beside a generator, zip": Case(rosinality(Asks()), "called.seen"),
    "beside a generator, stream": Case(rosinality(Asks(), legacy=True), "called.seen"),
    "in train.py's options": Case(rosinality(argparse.Namespace(lr=Asks())), "called.seen"),
    "in an encoder's options": Case(psp(Asks()), "called.seen"),
    "as NVIDIA's discriminator": Case(nvidia(D=Asks()), "called.seen"),
    "as a data set": Case(nvidia(training_set_kwargs=Asks()), "called.seen"),
    "in a storage": Case(nvidia(D=Nested(Asks())), "called.seen"),
    "in TensorFlow's discriminator": Case(tensorflow(Asks()), "called.seen"),
    "in an array of objects": Case(tensorflow(objects()), "called.seen"),
    "in a stream's list": Case(stream_with(b"\x80\x02]", [Asks()]), "called.seen"),
    "in a stream's system": Case(stream_with(b"\x80\x02}", Asks()), "called.seen"),
    "in a zip file": Case(zipped(pickle.dumps(Asks(), 2)), "called.seen"),
}

# Sizes stand before what they measure. A reader that believes them can ask for more memory than
# there is, so each is compared with what is left of the file or of the storage.
SIZES: dict[str, Case] = {
    "bytes that are not there": Case(ops(b"\x8e" + _long(9)), "damaged or cut"),
    "text that is not there": Case(ops(b"\x8d" + _long(9)), "damaged or cut"),
    "a byte array that is not there": Case(raw(b"\x80\x05\x96" + _long(9) + b"."), "damaged or"),
    "a frame that is not there": Case(ops(b"\x95" + _long(9) + b"}"), "a frame of 9 bytes"),
    "a negative length": Case(ops(b"T\xff\xff\xff\xff"), "damaged or cut"),
    "a long number": Case(
        ops(b"\x8b" + struct.pack("<i", 256) + bytes(256)), "whole number of 256"
    ),
    "a number of negative length": Case(ops(b"\x8b\xff\xff\xff\xff"), "whole number of -1"),
    "behind the storage": Case(claims((2,), (1,), 4, offset=3), "reaches to element 5"),
    "before the storage": Case(claims((2,), (1,), 4, offset=-2), "whole numbers"),
    "a negative shape": Case(claims((-1, -4), (1, 1), 4), "whole numbers"),
    "more than the storage": Case(claims((5,), (1,), 4), "reaches to element 5"),
    "a storage larger than its data": Case(claims((4,), (1,), 5), "should be 5 elements"),
    "too many axes": Case(claims((1,) * 9, (1,) * 9, 4), "do not fit"),
    "fewer strides than axes": Case(claims((1, 1), (1,), 4), "do not fit"),
    "one number many times": Case(
        claims((1000,), (0,), 4), "it claims tensors of 4000 bytes", Limits(slack=0)
    ),
    "many views": Case(views, "it claims tensors of 16000 bytes", Limits(slack=0)),
    "a stream that is cut": Case(stream_of_more, "damaged"),
    "a header that is not there": Case(raw(_long(9) + b"{"), "not a generator file"),
    "tensors that overlap": Case(
        safetensors({"a": entry(0, 64, [16]), "b": entry(32, 64, [8])}), "safetensors"
    ),
    "a tensor behind the end": Case(safetensors({"a": entry(0, 68, [17])}), "safetensors"),
    "a shape that does not fit": Case(safetensors({"a": entry(0, 64, [17])}), "safetensors"),
    "gaps": Case(safetensors({"a": entry(32, 64, [8])}), "safetensors"),
    "members that overlap": Case(overlapping, "members claim"),
    "an archive's end alone": Case(raw(b"PK\3\4" + b"PK\5\6" + b"\xff" * 18), "zip file"),
    "a directory behind the end": Case(
        patched(zipped(NOTHING), lambda c: c[:-6] + struct.pack("<LH", len(c), 0)), "not within it"
    ),
}

# A small pickle can make a reader work for long: by many opcodes, by keys that are slow to compare,
# by values within values, or by one value in many places. So all of these are counted.
WORK: dict[str, Case] = {
    "many steps": Case(ops(b"]" * 99), "more work", Limits(steps=50)),
    "many marks": Case(ops(b"(" * 99), "damaged"),
    "text that is used often": Case(
        ops(
            *[b"c_codecs\nencode\n", "a" * 99, b"q\x00", "latin1", b"q\x01\x86R"],
            *[b"c_codecs\nencode\nh\x00h\x01\x86R"] * 9,
        ),
        "more work",
    ),
    "a key that is a large number": Case(ops(b"}\x8a\x06\0\0\0\0\0\1Ns"), "dictionary's key"),
    "a key that is a tuple": Case(ops(b"})Ns"), "dictionary's key"),
    "a far place in the memo": Case(ops(b"]r\x09\0\0\0"), "it holds a list"),
    "sets": Case(ops(b"\x8f(\x8f\x8f\x90"), "it holds a builtins.set"),
    "deep": Case(ops(b"}", "g_ema", b")" + b"\x85" * 9 + b"s"), "5 deep", Limits(depth=5)),
    "twins": Case(twins(5), "more parts", Limits(modules=20)),
    "many members": Case(
        zipped(NOTHING, ("archive/data/0", b"")), "not within it", Limits(members=1)
    ),
    "a header of many layers": Case(native(mapping_layers=9), "larger than the file"),
    "a header of wide layers": Case(native(channels=[9, 2]), "larger than", Limits(width=8)),
    "a header of much text": Case(native(**{"x" * 1000: 1}), "a generator config has"),
}

# A zip file has its directory at its end, which need not agree with what stands before it. Members
# are read in place: not compressed, each once, and under a plain name.
ZIPS: dict[str, Case] = {
    "compressed": Case(
        zipped(NOTHING, ("archive/data/0", bytes(99)), method=zipfile.ZIP_DEFLATED), "compressed"
    ),
    "a name with two points": Case(zipped(NOTHING, ("archive/data/../0", b"")), "leads elsewhere"),
    "a name with an empty part": Case(zipped(NOTHING, ("archive//0", b"")), "leads elsewhere"),
    "a name with a backslash": Case(zipped(NOTHING, ("archive/a\\b", b"")), "leads elsewhere"),
    "a name with a colon": Case(zipped(NOTHING, ("archive/a:b", b"")), "leads elsewhere"),
    "two of one name": Case(zipped(NOTHING, ("archive/data.pkl", NOTHING)), "twice"),
    "two data.pkl": Case(zipped(NOTHING, ("b/data.pkl", NOTHING)), "no data.pkl"),
    "a TorchScript program": Case(zipped(NOTHING, ("archive/constants.pkl", NOTHING)), "TorchScri"),
    "big-endian": Case(zipped(NOTHING, ("archive/byteorder", b"big")), "big-endian"),
    "no data": Case(
        patched(claims((4,), (1,), 4), lambda c: c.replace(b"data/0", b"data/1")), "no tensor data"
    ),
    "no end": Case(patched(zipped(NOTHING), lambda c: c[:-22]), "without its end"),
    "a name of another length": Case(
        patched(zipped(NOTHING), lambda c: c.replace(b"archive/d", b"archive/e", 1)), "is not where"
    ),
    "large, without its size": Case(
        patched(zipped(NOTHING), lambda c: c.replace(b"\4\0\0\0" * 2, b"\xff" * 8)), "its size"
    ),
    "large, without its directory": Case(
        patched(zipped(NOTHING), lambda c: c[:-12] + b"\xff" * 10 + c[-2:]), "something else"
    ),
    "large, with its directory elsewhere": Case(
        patched(large(zipped(NOTHING)), lambda c: c[:-34] + b"\xff" + c[-33:]), "not within it"
    ),
    "a directory of something else": Case(
        patched(zipped(NOTHING), lambda c: c.replace(b"PK\1\2", b"PK\1\1")), "something else"
    ),
}

# What is not described as torch, NumPy and NVIDIA describe it is damaged.
DAMAGED: dict[str, Case] = {
    "a dictionary of no pairs": Case(ops(ALLOWED, b"]Na\x85R"), "not a list of pairs"),
    "text in another encoding": Case(
        ops(b"c_codecs\nencode\n", "a", "utf-8", b"\x86R"), "another way than latin1"
    ),
    "a parameter of nothing": Case(
        ops(b"ctorch._utils\n_rebuild_parameter\nN\x85R"), "a parameter that is not a tensor"
    ),
    "a tensor of nothing": Case(
        ops(b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR"), "not described as torch does"
    ),
    "a storage of nothing": Case(
        ops(b"ctorch.storage\n_load_from_bytes\nN\x85R"), "where bytes are expected"
    ),
    "a number of nothing": Case(
        ops(b"cnumpy.core.multiarray\nscalar\nNN\x86R"), "a NumPy number of an unusual type"
    ),
    "a number of objects": Case(
        ops(b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n", "f2", b"\x85RN\x86R"),
        "unusual type",
    ),
    "a storage in another file": Case(
        ops(b"ctorch.storage\n_load_from_bytes\nC\x04\x80\x02N.\x85R"), "of before 1.6"
    ),
    "a storage that is a tensor": Case(nvidia(D=Nested(torch.zeros(1))), "something else"),
    "a storage in a storage": Case(nvidia(D=Nested(Nested(1))), "inside a torch file"),
    "a storage in a zip file": Case(rosinality(Nested(1)), "inside a torch file"),
    "a set of none": Case(ops(b"](\x90"), "not a set"),
    "a list of none": Case(ops(b"}Na"), "not a list"),
    "a dictionary of none": Case(ops(b"]NNs"), "not a dictionary"),
    "an odd dictionary": Case(ops(b"}(Nu"), "not a dictionary"),
    "a state of a list": Case(ops(b"]Nb"), "cannot be changed"),
    "nothing is left": Case(ops(b"0"), "more values than it made"),
    "no mark": Case(ops(b"t"), "closes what it did not open"),
    "nothing in the memo": Case(ops(b"h\x07"), "what it did not define"),
    "something outside": Case(ops(b"NQ"), "something outside it"),
    "half a pickle": Case(raw(b"\x80\x04}"), "damaged or cut"),
    "a protocol to come": Case(raw(b"\x80\x05\x80\x09."), "protocol 9"),
    "another torch": Case(
        patched(raw(stream({})), lambda c: c.replace(b"M\xe9\x03", b"M\xe8\x03")),
        "unknown protocol",
    ),
    "a stream from a big-endian machine": Case(
        patched(raw(stream({})), lambda c: c.replace(b"little_endian", b"little_Endian")),
        "big-endian",
    ),
    "a network without a description": Case(persistent([]), "without its description"),
    "a network without a state": Case(persistent({"type": "class"}), "without class or state"),
    "a network without tensors": Case(described(_parameters={}), "is missing"),
    "a parameter that is text": Case(described(_parameters={"a": "b"}), "is not a tensor"),
    "modules that are none": Case(described(_modules={"a": 3}), "'a' is not a module"),
    "modules that are a list": Case(described(_modules=[]), "damaged"),
    "another network": Case(described("Diffuser"), "not a part of StyleGAN2's generator"),
    "a TensorFlow network without a state": Case(
        ops(b"cdnnlib.tflib.network\nNetwork\n)\x81"), "without its state"
    ),
    "a TensorFlow network of old": Case(tf_network(version=3), "StyleGAN1"),
    "a TensorFlow network of text": Case(tf_network(version="4"), "version '4'"),
    "variables without names": Case(tf_network(variables=[1]), "have no names"),
    "variables of text": Case(tf_network(variables=[("a", "b")]), "not an array of numbers"),
    "variables of objects": Case(
        tf_network(variables=[("a", np.array([None]))]), "not an array of numbers"
    ),
    "variables of a big-endian machine": Case(
        tf_network(variables=[("a", np.zeros(2, ">f4"))]), "not an array of numbers"
    ),
    "a network without arguments": Case(tf_network(static_kwargs=None), "without its arguments"),
    "components of text": Case(tf_network(components={"a": "b"}), "is not a network"),
    "tensors are missing": Case(native(), "is missing"),
    "a tensor's name with a line end": Case(
        lambda path: torch.save({"input.input": torch.zeros(1), "\n": torch.zeros(1)}, path),
        "a tensor is named '\\n'",
    ),
    "an unknown type": Case(safetensors({"a": entry(0, 64, [16], "F99")}), "safetensors"),
    "a header that is no JSON": Case(safetensors(b"{["), "safetensors"),
    "our header is no JSON": Case(native_header("["), "damaged"),
    "our header is a list": Case(native_header("[]"), "not a JSON object"),
    "our header is empty": Case(native_header("{}"), "has no 'format'"),
    "our header has fractions": Case(native(style_width=4.5), "whole numbers"),
}


def _device(path: Path) -> None:
    path.symlink_to("/dev/null")


# What people give by mistake is named.
OTHERS: dict[str, Case] = {
    "empty": Case(raw(b""), "empty"),
    "a folder": Case(Path.mkdir, "a directory"),
    "a circle of links": Case(circle, "circle"),
    "a device": Case(_device, "a pipe or a device"),
    "text": Case(raw(b"weights\n"), "not a generator file"),
    "a web page": Case(raw(b"<!DOCTYPE html><html>quota exceeded</html>"), "web page"),
    "a Git LFS pointer": Case(raw(b"version https://git-lfs.github.com/spec/v1\n"), "Git LFS"),
    "gzip": Case(raw(gzip.compress(b"x")), "compressed"),
    "tar": Case(archive, "tar archive"),
    "a NumPy array": Case(raw(b"\x93NUMPY" + bytes(90)), "not a generator file"),
    "a pickle of nothing": Case(ops(b"N"), "it holds a NoneType"),
    "a pickle of an empty dictionary": Case(raw(NOTHING), "by these names: (none)"),
    "a zip of pictures": Case(
        patched(zipped(b""), lambda c: c.replace(b"data.pkl", b"face.png")), "no data.pkl"
    ),
}

CASES = {**NAMES, **SIZES, **WORK, **ZIPS, **DAMAGED, **OTHERS}
