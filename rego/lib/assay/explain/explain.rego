# METADATA
# title: Explain
# description: |
#   Why a decision fell as it did: a tree, pruned to what led to it. It decides
#   nothing. Verdicts are read from the decision itself, and causes from what the
#   decision was made of, in the same evaluation.
package assay.explain

import data.assay.admission
import data.assay.explain.evidence
import data.assay.explain.nearest
import data.assay.images
import data.assay.raw
import data.assay.tags

# METADATA
# title: Answer
# description: A decision and its explanation.
answer := {"decision": admission.decision, "explanation": review}

# METADATA
# title: Review
# description: The root of the tree, with a branch for each image.
review := object.union(
	{"what": "review", "name": "", "because": array.concat(array.concat(_malformed, _images), _rego)},
	_verdict,
)

default _verdict := {"code": "denied", "outcome": "failed"}

_verdict := {"code": "exempt", "outcome": "passed"} if {
	admission.exempt
	admission.allowed
} else := {"code": "admitted", "outcome": "passed"} if {
	admission.allowed
}

_malformed := [node |
	not admission.exempt
	some entry in images.malformed
	node := {"what": "object", "name": entry.path, "code": "malformed", "outcome": "failed", "text": entry.message}
]

# Most objects are admitted without a word. Of those there is nothing to explain, and
# the decision says what passed.
_images := [{
	"what": "image",
	"name": report.image,
	"path": report.path,
	"code": "passed",
	"outcome": "passed",
} |
	some report in admission.decision.images
] if {
	_plain
} else := [object.union(node, {"what": "image", "name": subject.image, "path": subject.path}) |
	some i, subject in admission.subjects
	node := _image(subject, admission.decision.images[i].policies)
]

# Policies in plain Rego are asked about the review, whatever its images.
_rego := [object.union({"what": "rego", "name": entry.name, "mode": entry.mode}, _said(entry)) |
	some entry in object.get(admission.decision, "rego", [])
]

_said(entry) := _passed({warning.message | some warning in entry.warnings}) if {
	entry.outcome == "passed"
} else := {"code": "rego_denied", "outcome": _outcome(entry), "because": because} if {
	denials := [{"what": "denial", "name": "", "code": "rego_denied", "outcome": "failed", "text": denial.message} |
		some denial in entry.denials
	]
	errors := [{"what": "error", "name": "", "code": error.code, "outcome": "failed", "text": error.message} |
		error := entry.error
	]
	because := array.concat(array.concat(denials, errors), _fired(entry.name))
}

# Which rules denied, as RULE:LINE:FILE.
_fired(name) := [{
	"what": "rule",
	"name": parts[0],
	"code": "rego_denied",
	"outcome": "failed",
	"text": "denied",
	"source": {"line": to_number(parts[1]), "path": concat(":", array.slice(parts, 2, count(parts)))},
} |
	some place in object.get(raw.places, name, [])
	parts := split(place, ":")
]

_plain if {
	admission.allowed
	admission.decision.warnings == []
	count(admission.matched) > 0
	every name, _ in admission.matched {
		count(admission.covering(name)) > 0
	}
}

_image(subject, reports) := {
	"code": "no_digest",
	"outcome": "failed",
	"text": subject.error,
	"because": _unresolved(subject.image),
} if {
	subject.error
} else := {
	"code": "no_policy",
	"outcome": outcome,
	"because": array.concat(nearest.of(subject.name), because),
} if {
	count(admission.covering(subject.name)) == 0
	because := [_policy(subject.name, report) | some report in reports]
	outcome := _worst({policy.outcome | some policy in because} | {_uncovered})
} else := {"code": code, "outcome": outcome, "because": because} if {
	because := [_policy(subject.name, report) | some report in reports]
	outcome := _worst({policy.outcome | some policy in because})
	code := _codes[outcome]
}

_codes := {"passed": "passed", "warned": "warned", "failed": "policy_failed"}

_worst(outcomes) := "failed" if {
	"failed" in outcomes
} else := "warned" if {
	"warned" in outcomes
} else := "passed"

_uncovered := object.get({"warn": "warned", "allow": "passed"}, data.assay.config.no_match, "failed")

# A reference that is none, or a tag that the registry did not resolve.
_unresolved(image) := [_tag(image, error)] if {
	error := oci.parse(image).error
	error != null
} else := [_tag(image, error)] if {
	tags.judged
	error := oci.resolve(image).error
	error != null
} else := []

_tag(image, error) := {
	"what": "tag",
	"name": image,
	"code": error.code,
	"outcome": "failed",
	"text": error.message,
}

_policy(name, report) := object.union(
	{"what": "policy", "name": report.name, "mode": report.mode},
	_branch(name, report),
)

# What passed is one line. An authority that has not been answered yet explains nothing.
_branch(name, report) := _passed(_cautions(report)) if {
	report.outcome == "passed"
} else := {"code": "undecided", "outcome": _outcome(report), "because": []} if {
	count(report.authorities) == 0
} else := {"code": _cause(report), "outcome": _outcome(report), "because": because} if {
	outcomes := object.get(admission.outcomes, [name, report.name], [])
	because := array.concat(
		nearest.matching(name, report.name),
		array.concat(evidence.authorities(report.name, outcomes), _inside(name, report)),
	)
}

_passed(cautions) := {"code": "passed", "outcome": "passed", "because": []} if {
	count(cautions) == 0
} else := {"code": "warned", "outcome": "warned", "because": because} if {
	because := [{"what": "warning", "name": "", "code": "warned", "outcome": "warned", "text": text} |
		some text in cautions
	]
}

_outcome(report) := "warned" if {
	report.mode == "warn"
} else := "failed"

_cautions(report) := {warning | some warning in report.policy.warnings} | {warning |
	some authority in report.authorities
	some warning in authority.warnings
}

_cause(report) := "inside_failed" if {
	report.policy.outcome == "failed"
} else := "authority_failed" if {
	every authority in report.authorities {
		authority.outcome == "failed"
	}
} else := "undecided"

_inside(name, report) := [evidence.inside(report.name, admission.judged[name][report.name])] if {
	report.policy.outcome == "failed"
} else := []
