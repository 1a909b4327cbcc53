package chart_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/e2e/chart"
)

var update = flag.Bool("update", false, "write the manifests anew")

const (
	dir       = "../../deploy/chart"
	manifests = "../../deploy/manifests"
)

// order is that of the manifests: what is earlier is applied earlier.
func order() []string {
	return []string{"namespace", "rbac", "config", "deployment", "availability", "webhooks", "namespace-labels"}
}

// TestManifestsAreThoseOfTheChart: with the default values, but for the namespace, which Helm makes
// itself, and the definitions of the resources, which are in deploy/crds.
func TestManifestsAreThoseOfTheChart(t *testing.T) {
	t.Parallel()
	rendered, err := chart.Render(dir, chart.Release{Values: "{createNamespace: true, installCRDs: false}"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(order())), slices.Sorted(maps.Keys(rendered))); diff != "" {
		t.Fatalf("templates (-in the order of manifests +rendered):\n%s", diff)
	}
	want := map[string]string{}
	for i, name := range order() {
		want[fmt.Sprintf("%d-%s.yaml", i+1, name)] = "# Made from deploy/chart, written by make golden.\n" + rendered[name]
	}
	found, err := filepath.Glob(filepath.Join(manifests, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		write(t, found, want)
		return
	}
	got := map[string]string{}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(path)] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s are not those of the chart, run make golden (-want +got):\n%s", manifests, diff)
	}
}

func write(t *testing.T, found []string, want map[string]string) {
	t.Helper()
	for _, path := range found {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(manifests, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if err := os.WriteFile(filepath.Join(manifests, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBadValuesAreRefusedByName has the message name the field.
func TestBadValuesAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, values, want string }{
		{"a field that there is not", "{webhook: {replicas: 3}}", "replicas"},
		{"what policy-controller's chart has and assay has not", "{leasescleanup: {image: {}}}", "leasescleanup"},
		{"text for a number", `{webhook: {replicaCount: "2"}}`, "/webhook/replicaCount"},
		{"no replica", "{webhook: {replicaCount: 0}}", "/webhook/replicaCount"},
		{"longer than the API server waits", "{timeoutSeconds: 31}", "/timeoutSeconds"},
		{"a mode that there is not", "{mutate: some}", "/mutate"},
		{"pull secrets of nobody", "{pullSecrets: {mode: pod}}", "/pullSecrets/mode"},
		{"a failure policy that there is not", "{webhook: {failurePolicy: fail}}", "/webhook/failurePolicy"},
		{"a setting that there is not", "{webhook: {configData: {no-match: deny}}}", "no-match"},
		{"a value that a setting has not", "{webhook: {configData: {no-match-policy: maybe}}}", "no-match-policy"},
		{"an operator that a selector has not", "{webhook: {namespaceSelector: {matchExpressions: [{key: a, operator: in}]}}}", "/webhook/namespaceSelector/matchExpressions/0/operator"},
		{"a label that would be CEL", `{webhook: {namespaceSelector: {matchLabels: {a: 'b" || true || "'}}}}`, "/webhook/namespaceSelector/matchLabels/a"},
		{"the Pod without its security context", "{webhook: {securityContext: {enabled: false}}}", "/webhook/securityContext/enabled"},
		{"a flag with its dashes", "{webhook: {extraArgs: {--no-match: warn}}}", "--no-match"},
		{"who may reach the port, said twice", "{networkPolicy: {apiServer: [10.0.0.1/32], podCIDRs: [10.1.0.0/16]}}", "networkPolicy.podCIDRs: got it beside networkPolicy.apiServer"},
		{"addresses of Pods that are none", "{networkPolicy: {podCIDRs: [all]}}", "/networkPolicy/podCIDRs/0"},
		{"addresses that are none", "{networkPolicy: {apiServer: [kubernetes]}}", "/networkPolicy/apiServer/0"},
		{"a bundle without its key", "{webhook: {registryCaBundle: {name: ca}}}", "/webhook/registryCaBundle"},
		{"a rule without resources", `{webhook: {rules: [{apiGroups: [""], apiVersions: [v1]}]}}`, "/webhook/rules/0"},
		{"one Secret for all, without a name", "{pullSecrets: {mode: central}}", "pullSecrets.secret: got none"},
		{"one Secret for all, where each has its own", "{pullSecrets: {secret: pull}}", "pullSecrets.secret: got pull"},
		{"one claim for what each process keeps of bundles", "{bundles: {config: {labels: {a: b}}, volume: {persistentVolumeClaim: {claimName: kept}}}}", "bundles.volume: got persistentVolumeClaim, want emptyDir, ephemeral or csi"},
		{"a directory of the node for it", "{bundles: {config: {labels: {a: b}}, volume: {hostPath: {path: /var/lib/assay}}}}", "bundles.volume: got hostPath"},
		{"two volumes for it", "{bundles: {config: {labels: {a: b}}, volume: {ephemeral: {}, csi: {driver: d}}}}", "bundles.volume: got csi and ephemeral"},
		{"no volume for it", "{bundles: {config: {labels: {a: b}}, volume: {emptyDir: null}}}", "bundles.volume: got none"},
		{"a ServiceAccount of yours, without a name", "{webhook: {serviceAccount: {create: false}}}", "webhook.serviceAccount.name: got none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := chart.Render(dir, chart.Release{Values: tt.values})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it refused with %q", err, tt.want)
			}
		})
	}
}
