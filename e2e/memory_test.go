package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// BenchmarkMemory says how much memory a replica has resident with a thousand policies: before
// it has judged anything, at most while it judges 20,000 different Pods of 500 images, and after that.
// Of the two replicas it is the larger one. Run it with -benchtime 1x.
func BenchmarkMemory(b *testing.B) {
	const policies, pods, images, workers = 1000, 20_000, 500, 8
	var world strings.Builder
	world.WriteString("signers: {jane: {issuer: https://issuer.example, subject: jane@example.com}}\nimages:\n")
	for n := range images {
		fmt.Fprintf(&world, "  app%d: {repository: acme/app%d, config: {user: app%d}, signatures: [{signer: jane}]}\n", n, n, n)
	}
	i := installed(b, world.String())
	i.cluster.Namespace(b, "judged", "policy.sigstore.dev/include=true")
	const jane = `{"keyless": {"identities": [{"issuer": "https://issuer.example", "subject": "jane@example.com"}]}}`
	for n := range policies - 1 {
		i.policy(b, fmt.Sprintf("old-%d", n), fmt.Sprintf("old%d.example/**", n), jane)
	}
	i.policy(b, "signed", i.world.Registry()+"/**", jane)
	i.enforced(b, fmt.Sprintf("old-%d", policies-2), fmt.Sprintf("old%d.example/app", policies-2))
	waitUntil(b, "the policy in force", func() bool { return i.dryRun(b, "first", "${app0@}") == nil })
	before := i.resident(b, "VmRSS:")
	for b.Loop() {
		numbers := make(chan int)
		var work sync.WaitGroup
		for range workers {
			work.Go(func() {
				for n := range numbers {
					if err := i.dryRun(b, fmt.Sprintf("pod-%d", n), fmt.Sprintf("${app%d@}", n%images)); err != nil {
						b.Errorf("pod-%d: %v", n, err)
					}
				}
			})
		}
		for n := range pods {
			numbers <- n
		}
		close(numbers)
		work.Wait()
	}
	b.ReportMetric(float64(pods*b.N)/b.Elapsed().Seconds(), "pods/s")
	b.ReportMetric(before, "MB-before")
	b.ReportMetric(i.resident(b, "VmHWM:"), "MB-peak")
	b.ReportMetric(i.resident(b, "VmRSS:"), "MB-after")
}

// dryRun asks for a Pod that is judged and not stored.
func (i *installation) dryRun(b *testing.B, name, image string) error {
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "labels": map[string]any{"app": name}},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": i.world.Expand(image)}}},
	}}
	_, err := i.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("judged").
		Create(b.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// resident is what the kernel says under a name of the larger of the replicas, in MB.
func (i *installation) resident(b *testing.B, name string) float64 {
	b.Helper()
	most := 0.0
	for _, command := range i.commands {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
		check(b, err)
		_, rest, _ := strings.Cut(string(status), name)
		var kilobytes float64
		_, err = fmt.Sscanf(rest, "%f", &kilobytes)
		check(b, err)
		most = max(most, kilobytes/1024)
	}
	return most
}
