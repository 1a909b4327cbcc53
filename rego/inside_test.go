package rego_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counting is a policy that passes objects of two containers, and says of others
// how many there are.
const counting = `  policy:
    type: rego
    includeSpec: true
    data: |
      package sigstore
      isCompliant[response] {
        n := count(input.spec.containers)
        response := {"result": n == 2, "error": sprintf("%d containers", [n])}
      }
`

// IN-9: a policy is evaluated for each image, each time over the whole object, and
// not at all where no authority was satisfied.
func TestPolicyInsideIsAskedForEachImage(t *testing.T) {
	t.Parallel()
	w := openWorld(t, "images: {app: {}, db: {}}")
	app, db := byDigest(t, w, "app"), byDigest(t, w, "db")
	passed := open(t, w, setup{policies: static("counted", "**", "pass", counting)})
	failed := open(t, w, setup{policies: static("counted", "**", "fail", counting)})
	const refused = "failed evaluating rego policy for type ClusterImagePolicy: " +
		"policy is not compliant for query 'isCompliant = data.sigstore.isCompliant' with errors: "
	for _, tt := range []struct {
		name   string
		rig    *rig
		images []string
		want   []string
	}{
		{"IN-9: two images see two containers", passed, []string{app, db}, []string{}},
		{"IN-9: one image twice is judged once", passed, []string{app, app, app}, []string{
			"failed policy: counted: spec.containers[0].image, spec.containers[1].image, spec.containers[2].image\n" + app + " " + refused + "3 containers"}},
		{"IN-9: of one container nothing else is seen", passed, []string{db}, []string{
			"failed policy: counted: spec.containers[0].image\n" + db + " " + refused + "1 containers"}},
		{"IN-9: an authority that failed ends it", failed, []string{app}, []string{
			"failed policy: counted: spec.containers[0].image\n" + app + " disallowed by static policy: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reasons, _ := judge(t, tt.rig, pod(tt.images...))
			for i := range reasons {
				reasons[i] = strings.TrimSuffix(reasons[i], " (not_compliant)")
			}
			if diff := cmp.Diff(tt.want, reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}
