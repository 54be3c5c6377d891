"""Settings of nbgrader for the two assignments; it reads them from the folder it is called in."""

from pathlib import Path

c = get_config()  # noqa: F821

# Everything that nbgrader makes stays in build/, which git ignores
Path("build").mkdir(exist_ok=True)
c.CourseDirectory.course_id = "metahpo_lite"
c.CourseDirectory.release_directory = "build/release"
c.CourseDirectory.submitted_directory = "build/submitted"
c.CourseDirectory.autograded_directory = "build/autograded"
c.CourseDirectory.feedback_directory = "build/feedback"
c.CourseDirectory.db_url = "sqlite:///build/gradebook.db"
c.ExportPlugin.to = "build/grades.csv"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # yours"}
# Seconds for a cell: a submission that hangs gets no points, and does not stop the others
c.Execute.timeout = 180
