package cluster

import (
	"context"
	"fmt"

	"github.com/assay-dev/assay/e2e/tools"
)

// build builds the control plane into .kubernetes/bin, and gives that directory.
func build(ctx context.Context) (string, error) {
	module, err := tools.Find(".kubernetes")
	if err != nil {
		return "", err
	}
	version, err := module.Version("k8s.io/kubernetes")
	if err != nil {
		return "", err
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "v%d.%d.", &major, &minor); err != nil {
		return "", fmt.Errorf("version of k8s.io/kubernetes: got %q: %w", version, err)
	}
	// Clients that check the version refuse a server without.
	const in = "k8s.io/component-base/version"
	return module.Build(ctx, fmt.Sprintf("-X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]d "+
		"-X %[1]s.gitMinor=%[4]d -X %[1]s.gitCommit=0000000 -X %[1]s.gitTreeState=clean "+
		"-X %[1]s.buildDate=2026-01-01T00:00:00Z", in, version, major, minor))
}
