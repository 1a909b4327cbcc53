# METADATA
# title: Admission
# description: |
#   Joins what every matching policy says of every image into one decision.
#   An image is admitted because something admits it, never because nothing
#   was found against it: `failed := matched - satisfied`.
package assay.admission

import data.assay.context
import data.assay.images
import data.assay.match
import data.assay.messages
import data.assay.policies
import data.assay.raw
import data.assay.tags

# METADATA
# title: Decision
# description: The answer to an admission review.
# entrypoint: true
decision := object.union(raw.report, {
	"allowed": allowed,
	"images": [_report(subject) | some subject in subjects],
	"reasons": array.concat(messages.texts(_denials), raw.reasons),
	"warnings": array.concat(messages.texts(_warnings), raw.warnings),
	"patch": [{"op": "replace", "path": subject.pointer, "value": subject.pinned} |
		tags.patched
		some subject in subjects
	],
})

# METADATA
# title: Allowed
# description: Whether the object may be stored.
# scope: document
default allowed := false

allowed if {
	_images_admitted
	count(raw.failed) == 0
}

_images_admitted if exempt

_images_admitted if {
	count(images.malformed) == 0
	count(subjects) == count(images.found)
	every subject in subjects {
		_admitted(subject)
	}
}

# METADATA
# title: Exempt
# description: |
#   Requests that run nothing new (RES-6): deletions, the status of an object,
#   and updates of an object that goes away or shrinks. A new or another image
#   is always judged.
# scope: document
default exempt := false

exempt if input.request.operation == "DELETE"

exempt if {
	input.request.operation == "UPDATE"
	input.request.subResource == "status"
}

exempt if {
	_images_kept
	_goes_away
}

# Policies judge the Pod spec as well, so all of it has to be what it was. (As members
# of a set they are compared; an equation would go as deep as there are values.)
exempt if {
	_images_kept
	_shrinks
	path := images.pod_spec_path
	specs := {object.get(given, path, null) | some given in [input.request.object, input.request.oldObject]}
	count(specs) == 1
}

# What cannot be told is no image kept.
_images_kept if {
	input.request.operation == "UPDATE"
	count(images.malformed) == 0
	images.of(input.request.oldObject) == images.found
}

_goes_away if {
	is_string(input.request.object.metadata.deletionTimestamp)
	input.request.object.metadata.deletionTimestamp != ""
}

_shrinks if {
	is_number(input.request.object.spec.replicas)
	is_number(input.request.oldObject.spec.replicas)
	input.request.object.spec.replicas < input.request.oldObject.spec.replicas
}

# METADATA
# title: Subjects
# description: |
#   Every image with what is judged of it: `name` is host/repository@digest,
#   `pinned` the reference with the digest that its tag names now, `error` why
#   it cannot be judged. What is still a tag where tags are pinned is an error.
subjects := [subject |
	not exempt
	some entry in images.found
	subject := object.union(entry, _subject(entry.image))
]

_subject(image) := {"error": sprintf("could not parse reference: %s", [image])} if {
	not oci.parse(image).ok
} else := {"name": parsed.name, "digest": parsed.digest} if {
	parsed := oci.parse(image)
	parsed.digest != ""
} else := _resolved(image) if {
	tags.judged
} else := {"error": _no_digest(image)}

_resolved(image) := {
	"name": answer.ref,
	"digest": answer.digest,
	"pinned": sprintf("%s@%s", [oci.parse(image).name, answer.digest]),
} if {
	answer := oci.resolve(image)
	answer.ok
} else := {
	"error": _no_digest(image),
	"cause": sprintf("%s: %s", [answer.error.code, answer.error.message]),
} if {
	answer := oci.resolve(image)
	not answer.ok
}

_no_digest(image) := sprintf("invalid value: %s must be an image digest", [image])

# METADATA
# title: Matched policies
# description: |
#   The policies that match each distinct image, by name of the image. A
#   candidate is out when it says so: one that says nothing matches, and fails.
matched[name] := names if {
	some name in {subject.name | some subject in subjects}
	alias := other_name(name)
	candidates := _candidates(name)
	aliased := _candidates(alias)
	names := {policy |
		some [form, found] in [[name, candidates], [alias, aliased]]
		some policy in found
		not _out(policy, _policy_input(form))
	}
}

# Those of the cluster, and those of the review's namespace.
_candidates(name) := _of_cluster(name) | _of_namespace(name, match.namespace)

_of_cluster(name) := names if {
	names := data.cip_index.candidates with input as {"image": name}
}

_of_namespace(name, namespace) := names if {
	names := {policy | some policy in data.cip_index.namespaced[namespace]} with input as {"image": name}
}

# METADATA
# title: Covering policies
# description: |
#   The policies that count as the match which an image has to have. Those of a
#   namespace are not among them: they tighten, and admit nothing.
covering(name) := {policy |
	some policy in matched[name]
	not namespaced(policy)
}

# METADATA
# title: Namespaced
# description: Whether a policy is that of a namespace, by its name NAMESPACE/NAME.
namespaced(policy) if contains(policy, "/")

# METADATA
# title: Other name
# description: |
#   A registry is the same with and without the port that https has anyway; a
#   policy about one form must not be evaded by writing the other.
other_name(name) := replace(name, ":443/", "/") if {
	contains(name, ":443/")
} else := concat("", [host, ":443", substring(name, count(host), -1)]) if {
	host := split(name, "/")[0]
	not contains(host, ":")
} else := name

_out(policy, asked) if data.cip[policy].matched == false with input as asked

_policy_input(name) := {"image": name, "namespace": match.namespace, "resource": match.resource}

# A policy sees more of the review only where it asks for more. Where that could not
# be put together it sees nothing: CUE would pass over what is missing.
_asked(name, policy) := object.union(_policy_input(name), {"context": context.of(includes, places)}) if {
	includes := data.cip[policy].includes
	places := [subject | some subject in subjects; subject.name == name]
}

_asked(name, policy) := _policy_input(name) if not data.cip[policy].includes

# Both in one evaluation: a policy inside that was asked apart would have all
# authorities judged again, and what they ask with them.
_said[name][policy] := said if {
	some name, names in matched
	some policy in names
	said := _says(policy) with input as _asked(name, policy)
}

_says(policy) := {"authorities": authorities, "judged": inside} if {
	authorities := [authority | some authority in data.cip[policy].authorities]
	inside := [outcome | _authorized(authorities); outcome := data.cip[policy].policy]
}

# What the policy inside a policy says counts once an authority has passed (IN-9).
_authorized(authorities) if authorities[_].outcome == "passed"

# METADATA
# title: Outcomes of authorities
# description: |
#   What each authority of each matching policy says of each image, with the facts
#   that the report leaves out.
# scope: document
outcomes[name][policy] := said.authorities if {
	some name, all_said in _said
	some policy, said in all_said
}

# METADATA
# title: Outcomes of policies inside
# description: What the policy inside each matching policy says, once an authority has passed.
# scope: document
judged[name][policy] := said.judged[0] if {
	some name, all_said in _said
	some policy, said in all_said
}

_satisfied[name] contains policy if {
	some name, policy
	judged[name][policy].outcome == "passed"
}

_failed(name) := matched[name] - object.get(_satisfied, name, set())

# Only an explicit warn softens a policy (MODE-1).
_mode(policy) := "warn" if {
	data.cip[policy].mode == "warn"
} else := "enforce"

_softened(names) := {policy | some policy in names; _mode(policy) == "warn"}

_admitted(subject) if {
	failed := _failed(subject.name)
	count(failed - _softened(failed)) == 0
	_covered(subject.name)
}

_covered(name) if count(covering(name)) > 0

_covered(_) if _tolerant

# Whatever is set, or not set, but these two means deny (CFG-1).
_tolerant if data.assay.config.no_match in {"warn", "allow"}

_denials contains object.union(entry, {"details": ""}) if {
	not exempt
	some entry in images.malformed
}

_denials contains {"message": subject.error, "details": object.get(subject, "cause", ""), "path": subject.path} if {
	some subject in subjects
}

_denials contains entry if {
	some subject in subjects
	failed := _failed(subject.name)
	some policy in (failed - _softened(failed))
	entry := _failure(subject, policy)
}

_denials contains entry if {
	not _tolerant
	some entry in _uncovered
}

_warnings contains entry if {
	some subject in subjects
	some policy in _softened(_failed(subject.name))
	entry := _failure(subject, policy)
}

# What policies warn of that are satisfied all the same.
_warnings contains {"message": message, "details": _shown(subject), "path": subject.path} if {
	some subject in subjects
	some policy in _satisfied[subject.name]
	some warning in _cautions(subject.name, policy)
	message := sprintf("policy %s: %s", [policy, warning])
}

_warnings contains entry if {
	data.assay.config.no_match == "warn"
	some entry in _uncovered
}

_cautions(name, policy) := {warning | some warning in judged[name][policy].warnings} | {warning |
	some authority in outcomes[name][policy]
	some warning in authority.warnings
}

_uncovered contains {"message": "no matching policies", "details": _shown(subject), "path": subject.path} if {
	some subject in subjects
	count(covering(subject.name)) == 0
}

_failure(subject, policy) := {
	"message": sprintf("failed policy: %s", [policy]),
	"details": concat(" ", array.concat([_shown(subject)], _errors(subject.name, policy))),
	"path": subject.path,
}

# Messages show the image as it was judged.
_shown(subject) := object.get(subject, "pinned", subject.image)

# The causes of authorities, and then of the policy inside.
_errors(name, policy) := array.concat(authorities, inside) if {
	authorities := [authority.error.message |
		some authority in outcomes[name][policy]
		authority.outcome != "passed"
	]
	inside := [outcome.error.message |
		outcome := judged[name][policy]
		outcome.outcome != "passed"
	]
}

_report(subject) := object.union(_manifest(object.get(subject, "name", "")), {
	"path": subject.path,
	"image": subject.image,
	"digest": object.get(subject, "digest", ""),
	"policies": [_policy_report(object.get(subject, "name", ""), policy) |
		some policy in object.get(matched, object.get(subject, "name", ""), set())
	],
})

# What the digest names: an index, whose platforms' manifests were not verified with
# it, or the manifest of an image (IDX-1). It is asked beside the signatures, where
# a policy wants any, and decides nothing.
_manifest(name) := {"manifest": _form(answer.value)} if {
	some policy in matched[name]
	data.cip[policy].verifies
	answer := oci.manifest(name)
	answer.ok
} else := {}

_form(manifest) := "index" if {
	is_array(manifest.manifests)
} else := "image"

_policy_report(name, policy) := object.union(
	{
		"name": policy,
		"mode": _mode(policy),
		"outcome": _outcome(name, policy),
		"authorities": [object.remove(authority, ["facts"]) |
			some authority in object.get(outcomes, [name, policy], [])
		],
	},
	{"policy": object.remove(outcome, ["at"]) | outcome := judged[name][policy]; outcome != policies.none},
)

_outcome(name, policy) := "passed" if {
	policy in _satisfied[name]
} else := "failed"
