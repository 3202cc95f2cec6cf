"""What of a machine results depend on."""

import pytest

from winnow.engine.machine import differences, facts, processor

X86 = "processor\t: 0\nmodel name\t: Xeon A\nstepping\t: 7\nflags\t\t: fpu avx2 sse4_2 avx512f ht\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\nFeatures\t: fp asimd sve bf16\n"


@pytest.mark.parametrize(
    ("listed", "model", "instructions"),
    [
        (X86 + X86.replace("processor\t: 0", "processor\t: 1"), "model name Xeon A; stepping 7", "avx2 avx512f sse4_2"),
        (ARM, "CPU implementer 0x41; CPU part 0xd0c", "asimd bf16 sve"),
    ],
)
def test_a_processor_is_its_model_and_its_vector_instructions(listed: str, model: str, instructions: str) -> None:
    assert processor(listed) == {"processor": model, "instructions": instructions}


def test_without_a_list_of_processors_there_is_a_name_all_the_same() -> None:
    assert processor("")["processor"].strip()


def test_facts_name_packages_and_code() -> None:
    assert {"numpy", "torch", "scikit-learn", "pillow", "code", "Python", "device"} <= facts().keys()
    assert differences(facts(), facts()) == ""


def test_differences_are_told_by_name_and_no_more_than_can_be_read() -> None:
    mine = {"numpy": "2", "code": "0" * 64, "torch": "1"}
    assert differences(mine, {"numpy": "1", "code": "1" * 64, "torch": "1", "faiss": "1"}) == (
        "code 00000000... instead of 11111111..., faiss nothing instead of '1', numpy '2' instead of '1'"
    )
    many = {f"package {number}": "1" for number in range(9)}
    assert differences(many, {}).endswith("and 4 more")
