package doctor

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
)

func TestNamespaces(t *testing.T) {
	t.Parallel()
	in := *installed(t).hookOf("/validate")
	out := in
	out.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "policy.sigstore.dev/exclude", Operator: metav1.LabelSelectorOpDoesNotExist}, in.NamespaceSelector.MatchExpressions[1],
	}}
	system := place{name: "cosign-system"}
	shop := place{name: "shop", covered: true}
	for _, tt := range []struct {
		name   string
		by     hook
		places []place
		status finding.Status
		want   string
	}{
		{"one is covered", in, []place{system, shop}, "", ""},
		{"one is left out, and is empty", in, []place{system, shop, {name: "idle"}}, "", ""},
		{"one is left out, and is busy", in, []place{shop, {name: "busy", busy: true}}, finding.Warning, "kubectl label --overwrite namespace busy policy.sigstore.dev/include=true"},
		{"one is taken out", out, []place{shop, {name: "busy", busy: true, labels: map[string]string{"policy.sigstore.dev/exclude": "true"}}}, finding.Warning, "policy.sigstore.dev/exclude-"},
		{"nobody may see its Pods", in, []place{shop, {name: "dark", unread: errors.New("no right")}}, finding.Unknown, "whether they run Pods is not known (1): dark: no right"},
		{"none is covered", in, []place{system}, finding.Warning, "nothing is judged"},
		{"that of the installation is covered", in, []place{shop, {name: "cosign-system", covered: true}}, finding.Failure, "nothing that a replica needs can start there"},
		{"that of the system is covered", in, []place{shop, {name: "kube-system", covered: true}}, finding.Failure, "it is covered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want(t, judgePlaces(tt.places, tt.by, "cosign-system"), tt.status, tt.want)
		})
	}
	var many []place
	for i := range 200 {
		many = append(many, place{name: fmt.Sprint(i), busy: true})
	}
	if got := judgePlaces(many, in, "cosign-system"); len(got) > mostPlaces+3 {
		t.Errorf("got %d findings, want them bounded", len(got))
	}
}
