package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// await gives the newest email with these words, once it is there: what a person does at the mail program.
func await(ctx context.Context, words string) (string, error) {
	for {
		files, err := filepath.Glob(filepath.Join(env("MAILBOX"), "*.eml"))
		if err != nil {
			return "", err
		}
		for _, file := range slices.Backward(files) {
			message, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			if strings.Contains(string(message), words) {
				return string(message), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no email says %q: %w", words, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
