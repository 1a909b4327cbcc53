package e2e_test

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/assay-dev/assay/e2e/chart"
)

// webhooks are what an installation puts into the cluster besides its Deployment: its namespace,
// its Service at an address, and its webhook configurations, as the chart has them where
// templates are mutated as well. Instead of assay, the test writes caBundle.
func webhooks(address string, caBundle []byte) (string, error) {
	rendered, err := chart.Render("../deploy/chart", chart.Release{Values: "{mutate: all}"})
	if err != nil {
		return "", err
	}
	service, _, found := strings.Cut(rendered["deployment"], "\n---\n")
	if !found || !strings.Contains(service, "\nkind: Service\n") {
		return "", fmt.Errorf("got %s, want the Service first", service)
	}
	const client = "clientConfig:\n"
	return strings.Join([]string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: cosign-system}\n", // as helm --create-namespace makes it
		strings.Replace(service, "type: ClusterIP\n", "type: ClusterIP\n  clusterIP: "+address+"\n", 1),
		strings.ReplaceAll(rendered["webhooks"], client, client+"      caBundle: "+base64.StdEncoding.EncodeToString(caBundle)+"\n"),
	}, "\n---\n"), nil
}
