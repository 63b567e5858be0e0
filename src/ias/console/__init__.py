"""What every page of the console is made with: templates, forms, the policy it is shown under, the files it loads."""
