package assay.kinds_test

import data.assay.admission
import data.assay.given_test as given

mock_quiet(_, _) := {"ok": true, "deny": [], "warn": [], "mode": null, "error": null}

mock_loud(_, _) := {"ok": true, "deny": ["no"], "warn": [], "mode": null, "error": null}

_one := {"p": {"mode": "enforce"}}

# Of Kubernetes' own kinds without images policies in Rego alone decide.
test_imageless_kinds_are_judged_by_rego_alone[kind] if {
	some kind in [
		"/v1/Service", "/v1/Namespace", "/v1/ConfigMap", "networking.k8s.io/v1/Ingress", "extensions/v1beta1/Ingress",
		"rbac.authorization.k8s.io/v1/ClusterRoleBinding",
	]
	review := given.review("CREATE", kind, {"spec": {}})
	admission.allowed with input as review with data.assay.raw_policies as _one with assay.policy as mock_quiet
	not admission.allowed with input as review with data.assay.raw_policies as _one with assay.policy as mock_loud
	not admission.allowed with input as review
}

# What may keep an image anywhere is denied whatever they say.
test_other_kinds_stay_denied[kind] if {
	some kind in [
		"example.com/v1/Service",
		"networking.k8s.io/v1/Service", "argoproj.io/v1alpha1/Workflow", "apps/v1/ControllerRevision",
		"/v1/PodExecOptions", "autoscaling/v1/Scale", "/v1/ingress", "//",
	]
	review := given.review("CREATE", kind, {"spec": {}})
	not admission.allowed with input as review with data.assay.raw_policies as _one with assay.policy as mock_quiet
}

# No operation is exempt from policies in Rego.
test_deletions_are_judged if {
	review := given.review("DELETE", "/v1/Service", null)
	admission.allowed with input as review with data.assay.raw_policies as _one with assay.policy as mock_quiet
	not admission.allowed with input as review with data.assay.raw_policies as _one with assay.policy as mock_loud
}

# A policy in Rego is no match for an image: another has to match it.
test_rego_matches_no_image if {
	decision := admission.decision with input as given.running([given.image("app")])
		with oci.parse as given.parse
		with data.cip_index.candidates as set()
		with data.assay.raw_policies as _one
		with assay.policy as mock_quiet
	not decision.allowed
	startswith(decision.reasons[0], "no matching policies: ")
}
