package diff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// ErrChanges is that a workload would be answered differently.
var ErrChanges = errors.New("workloads change")

// Program is what diff wants of the program that it is part of.
type Program struct {
	// Flags adds those of engines that judge manifests.
	Flags func(cmd *cobra.Command)
	// Review makes the review of a manifest.
	Review func(manifest []byte) ([]byte, error)
	// Judges makes the two judges, of the policies in two paths. live says that
	// manifests are judged as well.
	Judges func(ctx context.Context, old, new []string, live bool, stderr io.Writer) (Judge, Judge, error)
}

type flags struct {
	old, new []string
	output   string
	timeout  time.Duration
}

// Command is assay diff.
func Command(program Program) *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "diff --old PATH --new PATH [flags] CAPSULE|MANIFEST|DIR...",
		Short: "Say which workloads two policy sets judge differently",
		Long: "Diff judges workloads by two policy sets. A capsule is judged from its evidence, without a network;\n" +
			"what it has no answer to makes the outcome unknown. Manifests are judged as verify judges them.\n\n" +
			"Exit code 0: every answer stays; 1: one changes; 2: there is no comparison.",
		Example: "  assay diff --old policies/ --new changed/ capsules/\n" +
			"  assay diff --old policies/ --new changed/ -o markdown deploy/*.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), program, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	program.Flags(cmd)
	cmd.Flags().StringArrayVar(&f.old, "old", nil, "`path` of the policies as they are (repeatable)")
	cmd.Flags().StringArrayVar(&f.new, "new", nil, "`path` of the policies as they would be (repeatable)")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "how to print changes: text, json or markdown")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "deadline of each decision")
	return cmd
}

func (f flags) run(ctx context.Context, program Program, paths []string, stdout, stderr io.Writer) error {
	switch {
	case len(f.old) == 0:
		return errors.New("--old: got none, want a file or a directory of policies")
	case len(f.new) == 0:
		return errors.New("--new: got none, want a file or a directory of policies")
	case !slices.Contains([]string{"text", "json", "markdown"}, f.output):
		return fmt.Errorf("--output: got %q, want text, json or markdown", f.output)
	}
	if len(paths) == 0 {
		return errors.New("got no capsule and no manifest, want at least one")
	}
	files, err := found(paths, stderr)
	if err != nil {
		return err
	}
	live := slices.ContainsFunc(files, func(file string) bool { return !isCapsule(file) })
	old, changed, err := program.Judges(ctx, f.old, f.new, live, stderr)
	if err != nil {
		return err
	}
	var result Result
	masked := 0
	for _, file := range files { // one at a time: a capsule may be large
		found, err := workloads(file, program.Review)
		if err != nil {
			return err
		}
		for _, w := range found {
			if w.capsule != nil && len(w.capsule.Settings.Masked) > 0 {
				masked++
			}
			change, err := f.compare(ctx, w, old, changed)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if result.Workloads++; change.differs() {
				result.Changes = append(result.Changes, change)
			}
		}
	}
	if result.Workloads == 0 {
		return errors.New("got no workload in any file, want at least one")
	}
	if masked > 0 {
		fmt.Fprintf(stderr, "warning: %d capsules have masked values: a policy that looks at them judges the masks\n", masked)
	}
	if err := result.print(stdout, f.output); err != nil {
		return err
	}
	if len(result.Changes) > 0 {
		return ErrChanges
	}
	return nil
}

func (f flags) compare(ctx context.Context, w workload, old, changed Judge) (out Change, err error) {
	out.Workload = w.name
	for _, side := range []struct {
		judge Judge
		into  *Judgment
	}{{old, &out.Old}, {changed, &out.New}} {
		bounded, cancel := context.WithTimeout(ctx, f.timeout)
		*side.into, err = side.judge.judge(bounded, w)
		if cancel(); err != nil {
			return out, err
		}
		if err := ctx.Err(); err != nil {
			return out, err
		}
	}
	return out, nil
}
