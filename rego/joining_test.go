package rego_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego"
)

// static is a policy that needs no registry. spec are further lines of its spec.
func static(name, glob, action, spec string) string {
	return "---\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: " + name + "}\nspec:\n" +
		"  images: [{glob: \"" + glob + "\"}]\n  authorities: [{static: {action: " + action + "}}]\n" + spec
}

const someApp = "registry.example/app@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7"

// judge says "admitted", or why not, and what is warned of.
func judge(t *testing.T, r *rig, request []byte) (reasons, warnings []string) {
	t.Helper()
	d, err := r.Decide(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if d.Allowed != (len(d.Reasons) == 0) {
		t.Errorf("got %s, want it denied where there are reasons", encode(t, d))
	}
	return d.Reasons, d.Warnings
}

// MODE-2: a policy that warns softens its own failures and nothing else.
func TestWhatNoModeSoftens(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: static("soft", "registry.example/**", "fail", "  mode: warn\n")})
	for _, tt := range []struct{ name, image, reason string }{
		{"MODE-2: a tag", "registry.example/app:v1", "invalid value: registry.example/app:v1 must be an image digest: spec.containers[0].image"},
		{"MODE-2: what is no reference", "in@valid", "could not parse reference: in@valid: spec.containers[0].image"},
		{"MODE-2: no policy", "other.example/app@" + strings.Split(someApp, "@")[1],
			"no matching policies: spec.containers[0].image\nother.example/app@" + strings.Split(someApp, "@")[1]},
		{"MODE-1: its own failure", someApp, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reasons, warnings := judge(t, r, pod(tt.image))
			if got := strings.Join(reasons, "\n"); got != tt.reason {
				t.Errorf("got reasons %q, want %q", got, tt.reason)
			}
			if (len(warnings) > 0) != (tt.reason == "") {
				t.Errorf("got warnings %q", warnings)
			}
		})
	}
}

// MATCH-3: the Pods of a Deployment are matched, and the Deployment is not. As
// upstream, it is an object that no policy matches.
func TestMatchOfPodsLeavesDeploymentsUnmatched(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	policies := static("pods", "**", "pass", "  match: [{version: v1, resource: pods}]\n")
	deployment := review("apps", "Deployment", map[string]any{"spec": map[string]any{"template": runs(someApp)}})
	for noMatch, want := range map[string]string{
		"deny": "no matching policies: spec.template.spec.containers[0].image\n" + someApp, "allow": "",
	} {
		r := open(t, w, setup{policies: policies, config: rego.Config{NoMatch: noMatch}})
		if reasons, _ := judge(t, r, deployment); strings.Join(reasons, "\n") != want {
			t.Errorf("no-match %s: got %q, want %q", noMatch, reasons, want)
		}
		if reasons, _ := judge(t, r, pod(someApp)); len(reasons) > 0 {
			t.Errorf("the Pod: got %q, want it admitted", reasons)
		}
	}
}

// MATCH-1: labels are those of the object, not of its template.
func TestLabelsOfTheTemplateAreNotMatched(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: static("shop", "**", "pass",
		"  match: [{group: apps, version: \"*\", resource: deployments, selector: {matchLabels: {team: shop}}}]\n")})
	labels := map[string]any{"labels": map[string]any{"team": "shop"}}
	template := runs(someApp)
	object := map[string]any{"metadata": labels, "spec": map[string]any{"template": template}}
	if reasons, _ := judge(t, r, review("apps", "Deployment", object)); len(reasons) > 0 {
		t.Errorf("its own labels: got %q, want it admitted", reasons)
	}
	template["metadata"] = labels
	delete(object, "metadata")
	if reasons, _ := judge(t, r, review("apps", "Deployment", object)); len(reasons) != 1 {
		t.Errorf("labels of the template: got %q, want no policy", reasons)
	}
}

// GLOB-9: any glob of a policy suffices, and two that match are one failure.
func TestSeveralGlobsOfOnePolicy(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	both := strings.Replace(static("both", "registry.example/*", "fail", ""), "images: [", "images: [{glob: registry.example/**}, {glob: other/**}, ", 1)
	reasons, _ := judge(t, open(t, w, setup{policies: both}), pod(someApp))
	want := []string{"failed policy: both: spec.containers[0].image\n" + someApp + " disallowed by static policy: "}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// COMB-1, COMB-3: a static pass of one policy exempts from no other.
func TestStaticPassExemptsFromNoOtherPolicy(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	app := byDigest(t, w, "app")
	reasons, _ := judge(t, open(t, w, setup{policies: policy("signed", "", "") + static("exempt", "**", "pass", "")}), pod(app))
	if len(reasons) != 1 || !strings.HasPrefix(reasons[0], "failed policy: signed: ") {
		t.Errorf("got %q, want the other policy's failure", reasons)
	}
}

// STA-1, STA-2: static policies ask no registry.
func TestStaticPoliciesAskNothing(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{policies: static("pass", "**", "pass", "") + static("fail", "**", "fail", "")})
	w.ResetRequests()
	reasons, _ := judge(t, r, pod(byDigest(t, w, "app")))
	if len(reasons) != 1 || !strings.HasSuffix(reasons[0], " disallowed by static policy: ") {
		t.Errorf("got %q, want the static failure", reasons)
	}
	if got := w.Requests(); len(got) > 0 {
		t.Errorf("got requests %v, want none", got)
	}
}

// RES-7: every update of a Pod is judged anew, whatever it changes.
func TestUpdateOfLabelsIsJudged(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	old, labelled := runs(byDigest(t, w, "app")), runs(byDigest(t, w, "app"))
	labelled["metadata"] = map[string]any{"labels": map[string]any{"a": "b"}}
	reasons, _ := judge(t, open(t, w, setup{}), changed(t, old, labelled))
	if len(reasons) != 1 || !strings.Contains(reasons[0], "no signatures found") {
		t.Errorf("got %q, want it denied", reasons)
	}
}

// RES-9: fields that nobody knows change nothing.
func TestUnknownFieldsOfAnObject(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	object := runs(someApp)
	object["tomorrow"] = []any{1, nil}
	object["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)["tomorrow"] = map[string]any{"image": "in@valid"}
	if reasons, _ := judge(t, open(t, w, setup{policies: passing}), review("", "Pod", object)); len(reasons) > 0 {
		t.Errorf("got %q, want it admitted", reasons)
	}
}

// RES-10: a dry run is judged like any other request.
func TestDryRunIsJudged(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	r := open(t, w, setup{})
	request := pod(byDigest(t, w, "app"))
	var dry map[string]map[string]any
	if err := json.Unmarshal(request, &dry); err != nil {
		t.Fatal(err)
	}
	dry["request"]["dryRun"] = true
	encoded, err := json.Marshal(dry)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := judge(t, r, request)
	got, _ := judge(t, r, encoded)
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("reasons (-run +dry run):\n%s", diff)
	}
}

// AUTH-1: a decision knows whose credentials it has, before anything is asked.
func TestWorkloadOfTheReview(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: passing})
	var got rego.Workload
	inner := r.source.Open
	r.source.Open = func(about rego.Workload) rego.Answers {
		got = about
		return inner(about)
	}
	set, err := rego.Compile(t.Context(), r.source)
	if err != nil {
		t.Fatal(err)
	}
	engine := rego.NewEngine(set, nil)
	review := `{"request": {"namespace": "shop", "operation": "CREATE", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
		"object": {"spec": {"template": {"spec": {"serviceAccountName": "till", "imagePullSecrets": [{"name": "a"}, {"name": 5}]}}}}}}`
	want := rego.Workload{Namespace: "shop", ServiceAccount: "till", PullSecrets: []string{"a"}, Path: "spec.template.spec"}
	for name, call := range map[string]func(context.Context, []byte) (rego.Decision, error){"decide": engine.Decide, "mutate": engine.Mutate} {
		got = rego.Workload{}
		if _, err := call(t.Context(), []byte(review)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: workload (-want +got):\n%s", name, diff)
		}
	}
}

// AUTH-5: facts are asked for the namespace of the request. Unlike upstream, which
// believes the object first; nobody but its creator wrote that.
func TestNamespaceIsThatOfTheRequest(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: passing})
	var asked string
	inner := r.source.Open
	r.source.Open = func(about rego.Workload) rego.Answers {
		asked = about.Namespace
		return inner(about)
	}
	set, err := rego.Compile(t.Context(), r.source)
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(set)
	for _, tt := range []struct {
		of, object any
		want       string
	}{{"shop", nil, "shop"}, {"shop", "shop", "shop"}, {"shop", "other", "shop"}, {nil, "other", ""}, {5, "other", ""}} {
		object := runs(someApp)
		object["metadata"] = map[string]any{"namespace": tt.object}
		encoded, err := json.Marshal(map[string]any{"request": map[string]any{
			"operation": "CREATE", "namespace": tt.of, "object": object, "kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if reasons, _ := judge(t, r, encoded); len(reasons) > 0 || asked != tt.want {
			t.Errorf("request of %v, object of %v: got %q and namespace %q, want it admitted and %q", tt.of, tt.object, reasons, asked, tt.want)
		}
	}
}

// NS-4: which namespace the object names changes no verdict: policies know none,
// and no user or account is exempt.
func TestNamespaceChangesNothing(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {}")
	r := open(t, w, setup{policies: passing})
	for _, namespace := range []any{nil, "", "shop", 5} {
		object := runs(someApp)
		object["metadata"] = map[string]any{"namespace": namespace}
		if reasons, _ := judge(t, r, review("", "Pod", object)); len(reasons) > 0 {
			t.Errorf("%v: got %q, want it admitted", namespace, reasons)
		}
	}
}

// IDX-1: what is named is verified: an index as an index. The image of a platform
// does not inherit its signature.
func TestSignatureOfAnIndexIsOfTheIndex(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {platforms: [linux/amd64, linux/arm64], signatures: [{signer: release}]}}")
	r := open(t, w, setup{})
	index := byDigest(t, w, "app")
	if d := r.decide(t, index); !d.Allowed || d.Images[0].Digest != w.Expand("${digest:app}") {
		t.Errorf("got %s, want the index admitted by its own digest", encode(t, d))
	}
	repository, _, _ := strings.Cut(index, "@")
	child := repository + "@" + firstManifest(t, index)
	if d := r.decide(t, child); d.Allowed || codes(d)[0] != "no_signatures" {
		t.Errorf("got %s, want the image of a platform denied: nobody signed it", encode(t, d))
	}
}

// firstManifest is the digest of the first image of an index.
func firstManifest(t *testing.T, ref string) string {
	t.Helper()
	host, path, _ := strings.Cut(ref, "/")
	repository, digest, _ := strings.Cut(path, "@")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/"+repository+"/manifests/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(body, &index); err != nil || len(index.Manifests) == 0 {
		t.Fatalf("got %s and %v, want an index", body, err)
	}
	return index.Manifests[0].Digest
}

// IDX-2: whether an image by digest is there at all is not asked; what is asked is
// whether it is signed.
func TestImageByDigestNeedNotBeThere(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}}")
	gone := w.Expand("${registry}/acme/gone@") + strings.Split(someApp, "@")[1]
	if reasons, _ := judge(t, open(t, w, setup{policies: passing}), pod(gone)); len(reasons) > 0 {
		t.Errorf("static: got %q, want it admitted", reasons)
	}
	reasons, _ := judge(t, open(t, w, setup{}), pod(gone))
	if len(reasons) != 1 || !strings.Contains(reasons[0], "no signatures found") {
		t.Errorf("signed: got %q, want it denied", reasons)
	}
}

// ATT-9: what cosign 1 called custom is compared as it is written: the short name
// of today is another type.
func TestPredicateTypesOfCosign1(t *testing.T) {
	t.Parallel()
	const old = "cosign.sigstore.dev/attestation/v1"
	w := openWorld(t, "images: {app: {attestations: [{signer: release, predicateType: "+old+", predicate: {Data: text}}]}}")
	for written, want := range map[string]string{
		old:      "",
		"custom": `no matching attestations with type custom, checked the following predicateTypes: "` + old + `"`,
		"https://cosign.sigstore.dev/attestation/v1": `no matching attestations with type https://cosign.sigstore.dev/attestation/v1, ` +
			`checked the following predicateTypes: "` + old + `"`,
	} {
		r := open(t, w, setup{policies: policy("p", "", "    attestations: [{name: a, predicateType: "+written+"}]\n")})
		reasons, _ := judge(t, r, pod(byDigest(t, w, "app")))
		if got := strings.Join(reasons, "\n"); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q", written, got, want)
		}
	}
}
