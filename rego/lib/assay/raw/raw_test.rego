package assay.raw_test

import data.assay.raw

none := {"ok": true, "deny": [], "warn": [], "mode": null, "error": null}

mock_policy("quiet", _) := none

mock_policy("loud", _) := object.union(none, {"deny": ["no"]})

mock_policy("soft", _) := object.union(none, {"deny": ["no"], "mode": "warn"})

mock_policy("other-mode", _) := object.union(none, {"deny": ["no"], "mode": "audit"})

mock_policy("cautious", _) := object.union(none, {"warn": ["careful"]})

mock_policy("broken", _) := object.union(none, {"ok": false, "error": {"code": "malformed", "message": "a bug"}})

mock_policy("broken-soft", _) := object.union(none, {"ok": false, "error": {"code": "timeout", "message": "too long"}})

# Not one of the members is as it should be.
mock_policy("odd", _) := {"ok": 1, "deny": null, "warn": 2, "mode": {}, "error": 3}

test_no_policies if {
	raw.asked == set() with data.assay.raw_policies as {}
	raw.failed == set() with data.assay.raw_policies as {}
	raw.report == {} with data.assay.raw_policies as {}
	raw.reasons == [] with data.assay.raw_policies as {}
	raw.warnings == [] with data.assay.raw_policies as {}
}

test_failed[name] if {
	some name, fails in {
		"quiet": false,
		"loud": true,
		"soft": false,
		"other-mode": true,
		"cautious": false,
		"broken": true,
		"broken-soft": false,
		"odd": true,
		"unknown": true,
	}
	policies := {name: {"mode": mode_of(name)}}
	failed := raw.failed with data.assay.raw_policies as policies with input as {}
		with assay.policy as mock_policy
	failed == {name | fails}
}

mode_of(name) := "warn" if {
	name == "broken-soft"
} else := "enforce"

test_texts if {
	policies := {name: {"mode": mode_of(name)} |
		some name in ["quiet", "loud", "soft", "cautious", "broken", "broken-soft", "unknown"]
	}
	reasons := raw.reasons with data.assay.raw_policies as policies with input as {}
		with assay.policy as mock_policy
	reasons == [
		"failed policy: broken: a bug (malformed)",
		"failed policy: loud: no",
		"failed policy: unknown: no answer (malformed)",
	]
	warnings := raw.warnings with data.assay.raw_policies as policies with input as {}
		with assay.policy as mock_policy
	warnings == [
		"failed policy: broken-soft: too long (timeout)",
		"failed policy: soft: no",
		"policy cautious: careful",
	]
}

test_report if {
	policies := {
		"broken": {"mode": "enforce", "title": "Broken", "owner": "us"},
		"cautious": {"mode": "enforce"},
		"soft": {"mode": "enforce", "severity": "low", "docs": "https://example.com", "description": "Soft."},
	}
	report := raw.report with data.assay.raw_policies as policies with input as {}
		with assay.policy as mock_policy
	report == {"rego": [
		{
			"name": "broken", "mode": "enforce", "outcome": "failed", "title": "Broken", "owner": "us",
			"error": {"code": "malformed", "message": "a bug (malformed)"},
		},
		{"name": "cautious", "mode": "enforce", "outcome": "passed", "warnings": [{"message": "careful"}]},
		{
			"name": "soft", "mode": "warn", "outcome": "failed", "severity": "low", "docs": "https://example.com",
			"description": "Soft.", "denials": [{"message": "no"}],
		},
	]}
}

# What deny may be, and what is then said. Nothing that is odd says nothing.
_rows := {
	"nothing": {"deny": [], "want": []},
	"false": {"deny": false, "want": []},
	"an empty object": {"deny": {}, "want": []},
	"a string": {"deny": "no", "want": [{"message": "no"}]},
	"an empty string": {"deny": "", "want": [{"message": ""}]},
	"true": {"deny": true, "want": [{"message": "true"}]},
	"null": {"deny": null, "want": [{"message": "null"}]},
	"a number": {"deny": 0, "want": [{"message": "0"}]},
	"strings": {"deny": ["b", "a"], "want": [{"message": "b"}, {"message": "a"}]},
	"odd elements": {
		"deny": [false, null, 1, [2], {}],
		"want": [{"message": text} | some text in ["false", "null", "1", "[2]", "{}"]],
	},
	"an object with msg": {"deny": {"msg": "no"}, "want": [{"message": "no"}]},
	"objects with msg and more": {
		"deny": [{"msg": "no", "field": "spec"}],
		"want": [{"message": "no", "details": {"field": "spec"}}],
	},
	"a msg that is no string": {"deny": [{"msg": 1}], "want": [{"message": `{"msg":1}`}]},
	"keys": {"deny": {"no": true}, "want": [{"message": "no"}]},
	"keys with values": {"deny": {"no": "way"}, "want": [{"message": `{"no":"way"}`}]},
}

mock_denying(name, _) := object.union(none, {"deny": _rows[name].deny})

test_messages[name] if {
	some name, row in _rows
	report := raw.report with data.assay.raw_policies as {name: {"mode": "enforce"}} with input as {}
		with assay.policy as mock_denying
	object.get(report.rego[0], "denials", []) == row.want
}

test_failed_because_of_messages[name] if {
	some name, row in _rows
	failed := raw.failed with data.assay.raw_policies as {name: {"mode": "enforce"}} with input as {}
		with assay.policy as mock_denying
	count(failed) == min([1, count(row.want)])
}
