package assay.lib.images_test

import data.assay.lib.given_test as given
import data.assay.lib.images

_now := time.parse_rfc3339_ns("2025-06-30T00:00:00Z")

_wanted := {"days": 90, "now": _now}

_answer(value) := {"ok": true, "value": value, "error": null}

_created := {
	"yesterday": ["2025-06-29T10:11:12.123456789Z", set()],
	"in another zone": ["2025-06-29T10:11:12+02:00", set()],
	"long ago": ["2025-01-01T00:00:00Z", {": created 2025-01-01T00:00:00Z, want within 90 days"}],
	"in 1970": ["1970-01-01T00:00:00Z", {": created 1970-01-01T00:00:00Z, want within 90 days"}],
	"tomorrow": ["2025-07-01T00:00:00Z", {": created 2025-07-01T00:00:00Z, which is to come"}],
	"in the year 1": ["0001-01-01T00:00:00Z", {": got created 0001-01-01T00:00:00Z, want a time"}],
	"in no month": ["2025-13-01T00:00:00Z", {": got created 2025-13-01T00:00:00Z, want a time"}],
	"in words": ["yesterday", {": got created yesterday, want a time"}],
	"as a number": [5, {": got created 5, want a time"}],
	"never": [null, {": got created null, want a time"}],
}

test_older[note] if {
	some note, case in _created
	[created, reasons] := case
	want := {sprintf("image%s", [reason]) | some reason in reasons}
	images.older(_answer({"created": created}), _wanted) == want
}

test_any_older[note] if {
	some note, case in _created
	[created, reasons] := case
	want := {sprintf("image for linux/arm64%s", [reason]) | some reason in reasons}
	configs := {"linux/amd64": {"created": "2025-06-29T00:00:00Z"}, "linux/arm64": {"created": created}}
	images.any_older(_answer(configs), _wanted) == want
}

test_missing[note] if {
	some note, case in {
		"no answer": [null, "image: got no answer of a builtin"],
		"refused": [given.refused, "image: nothing there (not_found)"],
	}
	[answer, want] := case
	images.older(answer, _wanted) == {want}
	images.any_older(answer, _wanted) == {want}
	images.based_on(answer, {"names": ["a"]}) == {want}
	images.built_on(answer, []) == {want}
}

test_nothing_to_judge if {
	images.older(_answer({}), _wanted) == {"image: got created null, want a time"}
	images.any_older(_answer({}), _wanted) == {"image: got no config file"}
	images.older(_answer(null), _wanted) == {"image: got a config file that cannot be judged"}
}

test_demands if {
	images.older(_answer({}), {"days": 90}) == {"demands: got no now, want it"}
	images.any_older(_answer({}), {"day": 90, "now": _now}) == {
		"demands: got no days, want it",
		"demands: got the key day, want one of days, now",
	}
	images.older(_answer({}), {"days": "90", "now": _now}) == {"demands: got a value of days that is no number"}
	named := {"names": ["cgr.dev/chainguard/*"], "digests": null}
	reasons := images.based_on(_manifest("cgr.dev/chainguard/static", ""), named)
	reasons == {"demands: got a value of digests that is no texts"}
	images.based_on({"ok": true}, {"names": ["a"]}) == {"base image: got no manifest that can be judged"}
	images.based_on(_answer({}), {"names": []}) == {"demands: got no names, want it"}
}

_manifest(name, digest) := _answer({"annotations": {
	"org.opencontainers.image.base.name": name,
	"org.opencontainers.image.base.digest": digest,
}})

test_based_on[note] if {
	some note, case in {
		"in the list": [_manifest("cgr.dev/chainguard/static:latest", "sha256:aa"), {}, set()],
		"in the list, by digest": [_manifest("cgr.dev/chainguard/static", "sha256:aa"), {"digests": ["sha256:aa"]}, set()],
		"another digest": [
			_manifest("cgr.dev/chainguard/static", "sha256:bb"), {"digests": {"sha256:aa"}},
			{"base image: got the digest sha256:bb, want sha256:aa"},
		],
		"another repository": [
			_manifest("cgr.dev/evil/static", ""), {},
			{"base image: got cgr.dev/evil/static, want cgr.dev/chainguard/*"},
		],
		"a repository below": [
			_manifest("cgr.dev/chainguard/evil/static", ""), {},
			{"base image: got cgr.dev/chainguard/evil/static, want cgr.dev/chainguard/*"},
		],
		"no annotation": [_answer({}), {}, {"base image: got  that is no reference"}],
		"no reference": [_manifest("UPPER CASE", ""), {}, {"base image: got UPPER CASE that is no reference"}],
	}
	[manifest, more, want] := case
	images.based_on(manifest, object.union({"names": ["cgr.dev/chainguard/*"]}, more)) == want
}

_layers(ids) := _answer({"rootfs": {"diff_ids": ids}})

_none := "base image: got layers that begin with those of none of the base images"

test_built_on[note] if {
	some note, case in {
		"the same layers first": [_layers(["a", "b", "c"]), [_layers(["x"]), _layers(["a", "b"])], set()],
		"the base itself": [_layers(["a"]), [_layers(["a"])], set()],
		"other layers": [_layers(["a", "b"]), [_layers(["b"])], {_none}],
		"fewer layers": [_layers(["a"]), [_layers(["a", "b"])], {_none}],
		"a base without layers": [_layers(["a"]), [_layers([]), _answer({})], {_none}],
		"no layers": [_answer({}), [_layers(["a"])], {_none}],
		"no base": [_layers(["a"]), [], {_none}],
		"a base that cannot be had": [_layers(["a"]), [given.refused], {_none, "base image: nothing there (not_found)"}],
	}
	[config, bases, want] := case
	images.built_on(config, bases) == want
}

test_days_that_there_are[note] if {
	some note, case in {
		"the 31st": ["2025-05-31T00:00:00Z", true],
		"a leap day": ["2024-02-29T00:00:00Z", true],
		"a leap day of 2000": ["2000-02-29T00:00:00Z", true],
		"no leap day": ["2025-02-29T00:00:00Z", false],
		"no leap day of 1900 or 2100": ["2100-02-29T00:00:00Z", false],
		"the 31st of April": ["2025-04-31T00:00:00Z", false],
		"the 31st of November": ["2025-11-31T00:00:00Z", false],
		"the 30th of February": ["2024-02-30T00:00:00Z", false],
		"the 0th": ["2025-01-00T00:00:00Z", false],
		"no zone": ["2025-01-01T00:00:00", false],
		"a zone that is none": ["2025-01-01T00:00:00+24:00", false],
	}
	[created, is_one] := case
	some reason in images.older(_answer({"created": created}), {"days": 0, "now": 0})
	contains(reason, "want a time") == is_one == false
}

_undefined("nothing", "of", "the sort") := 0

# Whatever is undefined inside, there is a reason.
test_undefined_is_a_reason if {
	config := _answer({"created": "2025-06-29T00:00:00Z"})
	configs := _answer({"a": config.value})
	aged := [images.older(config, _wanted), images.any_older(configs, _wanted)] with images._old as _undefined
	aged == [{"image: got no config file that can be judged"}, {"image: got no config files that can be judged"}]
}
