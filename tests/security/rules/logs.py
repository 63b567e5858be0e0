from loguru import logger


def told(key, prompt, request, org):
    # ruleid: private-in-log
    logger.info("refused", key=key)
    # ruleid: private-in-log
    logger.bind(prompt=prompt).info("slow")
    # ruleid: private-in-log-text
    logger.warning(f"odd: {prompt}")
    # ruleid: private-in-log-text
    logger.error(f"odd: {request.body}")
    # ok: private-in-log
    logger.info("refused", org=org, tokens=12)
    # ok: private-in-log-text
    logger.info(f"of {org}")
