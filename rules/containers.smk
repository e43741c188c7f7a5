# The images that jobs run in. The rules exist only with --use-singularity, and only for images that are not given.


if IMAGES_TO_BUILD:

    localrules:
        build_image,
        containers,

    rule build_image:
        input:
            definition="containers/{image}.def",
            locks=image_locks,
            installers=["containers/install_packages.sh", "containers/install_locked.py"],
        output:
            image="containers/{image}.sif",
        log:
            "<study>/logs/build_image/{image}.log",
        wildcard_constraints:
            image="|".join(Path(image).stem for image in IMAGES_TO_BUILD),
        priority: 200  # everything else waits for it
        container:
            None
        params:
            base=["--base", STUDY.containers.base] if STUDY.containers.base else [],
            torch=STUDY.containers.torch,
        message:
            "build containers/{wildcards.image}.sif"
        shell:
            "python scripts/build_image.py --image {wildcards.image} --output {output.image}"
            " {params.base:q} --torch {params.torch} --log {log}"

    rule containers:
        input:
            IMAGES_TO_BUILD,
