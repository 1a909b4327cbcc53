package assay.messages_test

import data.assay.messages

test_no_entries_give_no_texts if messages.texts(set()) == []

test_details_stand_on_a_second_line if {
	messages.texts({{"message": "m", "details": "d", "path": "p"}}) == ["m: p\nd"]
}

# MSG-3: policy-controller sorts and merges like this.
test_equal_entries_are_one_with_all_paths_in_order if {
	entries := {
		{"message": "m", "details": "", "path": "spec.initContainers[0].image"},
		{"message": "m", "details": "", "path": "spec.containers[2].image"},
		{"message": "m", "details": "", "path": "spec.containers[10].image"},
	}
	messages.texts(entries) == ["m: spec.containers[10].image, spec.containers[2].image, spec.initContainers[0].image"]
}

test_order_is_by_message_then_by_details if {
	entries := {
		{"message": "b", "details": "", "path": "1"},
		{"message": "a", "details": "y", "path": "2"},
		{"message": "a", "details": "x", "path": "3"},
		{"message": "a", "details": "", "path": "4"},
		{"message": "B", "details": "z", "path": "5"},
	}
	messages.texts(entries) == ["B: 5\nz", "a: 4", "a: 3\nx", "a: 2\ny", "b: 1"]
}

# The reasons of a crowd of images, each with details of its own and two paths.
test_grouping_keeps_every_path_of_every_detail if {
	numbers_of := numbers.range(100, 999)
	entries := {{"message": "m", "details": sprintf("d%d", [i]), "path": path} |
		some i in numbers_of
		some path in [sprintf("b%d", [i]), sprintf("a%d", [i])]
	}
	messages.texts(entries) == [sprintf("m: a%d, b%d\nd%d", [i, i, i]) | some i in numbers_of]
}

test_what_is_printed_is_not_a_pattern if {
	messages.texts({{"message": "%s", "details": "%d%%", "path": "%v"}}) == ["%s: %v\n%d%%"]
}
